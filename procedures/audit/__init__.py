"""Reading what was done to the install and its workspaces."""
