"""One file per verb: the only place where the other folders meet."""
