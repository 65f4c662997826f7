"""Export: the folder that the agent loads, and the checks of what lies in it."""
