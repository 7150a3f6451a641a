"""Search by text or picture in the joint space, and contributions to a similarity."""
