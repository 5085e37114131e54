"""The analyses of files that the command line finds by name: release, similarity, encapsulation."""

from collections.abc import Collection, Sequence

from nanolab.analysis.file_options import FileOptions
from nanolab.assay import Parameter, Report


class ReleaseAnalysis:
    """`nanolab analyze release`."""

    name = "release"
    summary = "Release profiles under every release law: parameters with intervals, and which laws the data prefer."
    file_options: Collection[str] = ("columns", "where", "lines")

    def file_parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        from plans.release.parameters import RELEASE

        return RELEASE

    def analyze_files(self, options: FileOptions) -> Report:
        """Analyse profiles measured by others."""
        from plans.release.release_files import analyze_release

        return analyze_release(options)


class SimilarityAnalysis:
    """`nanolab analyze similarity`."""

    name = "similarity"
    summary = "Difference and similarity factors f1 and f2 of a test and a reference profile, by the FDA or EMA rule."
    file_options: Collection[str] = ("columns", "where", "lines", "rule", "seed")

    def file_parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        from plans.release.parameters import SIMILARITY

        return SIMILARITY

    def analyze_files(self, options: FileOptions) -> Report:
        """Compare profiles measured by others."""
        from plans.release.similarity_files import analyze_similarity

        return analyze_similarity(options)


class EncapsulationAnalysis:
    """`nanolab analyze encapsulation`."""

    name = "encapsulation"
    summary = "Encapsulation efficiency and loading from total and free cargo and the mass of particles."
    file_options: Collection[str] = ("columns", "where", "lines")

    def file_parameters(self) -> Sequence[Parameter]:
        """List what `--set` takes."""
        from plans.release.parameters import ENCAPSULATION

        return ENCAPSULATION

    def analyze_files(self, options: FileOptions) -> Report:
        """Analyse preparations measured by others."""
        from plans.release.encapsulation_files import analyze_encapsulation

        return analyze_encapsulation(options)


RELEASE = ReleaseAnalysis()
SIMILARITY = SimilarityAnalysis()
ENCAPSULATION = EncapsulationAnalysis()
