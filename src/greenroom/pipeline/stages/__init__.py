"""One module a stage; its name is the stage."""
