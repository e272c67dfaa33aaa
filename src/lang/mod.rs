//! Floor 2: the text of a configuration, without its meaning. Imports base.
