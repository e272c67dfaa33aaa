//! Floor 9: sockets, files, forks, reloads. Does not import the worker's inside.
