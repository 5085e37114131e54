"""Pages that show run folders; they own no instrument."""
