"""The shapes of the REST doors, and their mappings to and from the Structs of the procedures. Pure."""
