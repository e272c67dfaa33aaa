//! Indices of configured objects: positions in the plan's vectors and in shared memory alike.
//!
//! They are plain numbers that never go stale within one plan; what is born and dies at run time
//! (connections, streams...) is named by [`crate::base::arena::Id`] instead.

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
