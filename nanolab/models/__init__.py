"""Physics and chemistry, named by what they describe: numpy in, numpy out."""
