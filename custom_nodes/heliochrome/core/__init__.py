"""Pure colourisation core: numpy in, numpy out. Nothing here knows a host or the web."""
