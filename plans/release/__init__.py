"""Release of a cargo from its carrier: profiles, their laws, their similarity, and what was encapsulated."""
