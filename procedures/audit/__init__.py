"""The audit: administrative acts on the install and its workspaces."""
