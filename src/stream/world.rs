//! What expressions may ask of everything beyond one stream.

use crate::expr::view::World;

/// The world as one worker sees it.
pub(super) struct WorldView;

impl World for WorldView {}
