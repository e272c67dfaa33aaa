//! Floor 2: the one form of a message between muxes. Imports base and wire.
