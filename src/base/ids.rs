//! Names of things: indices of configured objects, and kinds of the ids of living ones.
//!
//! The first are plain numbers, positions in the plan's vectors and in shared memory alike; they never go
//! stale within one plan. What is born and dies at run time (connections, streams...) is named by an
//! [`Id`] of a marker kind below, so that a low floor can carry the name of an object of a high one.

use super::arena::Id;

macro_rules! plan_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(pub u32);

        impl $name {
            /// The position as an index.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

plan_ids! {
    /// A proxy: frontend, backend or both (`listen`).
    ProxyId;
    /// A server line, over all backends.
    ServerId;
    /// One bound address of a `bind` line, over all frontends.
    ListenerId;
}

macro_rules! live_ids {
    ($($(#[$doc:meta])* $kind:ident => $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}

        #[doc = concat!("The name of one of the [`", stringify!($kind), "`].")]
        pub type $name = Id<$kind>;
    )*};
}

live_ids! {
    /// Kind: tasks of the scheduler.
    Tasks => TaskId;
    /// Kind: connections of either side.
    Conns => ConnId;
    /// Kind: streams.
    Streams => StreamId;
    /// Kind: endpoints made of code.
    Applets => AppletId;
    /// Kind: health checks at work.
    Checks => CheckId;
}
