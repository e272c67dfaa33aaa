//! Floor 9: the event loop's owner: arenas, dispatch, births and deaths.
