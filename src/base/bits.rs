//! Sets of named flags: one word, one constant per flag, names for `show` and logs.

/// Declares a set of flags. The flags take the bits in the order in which they are written.
///
/// ```
/// lighterman::bits! {
///     /// What a door can do.
///     pub struct Door: u8 {
///         /// It opens.
///         OPEN,
///         /// It shuts.
///         SHUT,
///     }
/// }
/// let both = Door::OPEN | Door::SHUT;
/// assert_eq!(both.to_string(), "OPEN|SHUT");
/// assert!(both.has(Door::SHUT));
/// ```
#[macro_export]
macro_rules! bits {
    ($(#[$doc:meta])* pub struct $name:ident: $word:ty { $($(#[$flag_doc:meta])* $flag:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(transparent)]
        pub struct $name($word);

        $crate::bits!(@flags $name, $word, 0, $($(#[$flag_doc])* $flag,)+);

        impl $name {
            /// The names of the flags, lowest bit first.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($flag)),+];

            /// No flag.
            #[inline]
            pub const fn empty() -> Self {
                $name(0)
            }

            /// Every flag.
            pub const fn all() -> Self {
                $name(0 $(| Self::$flag.0)+)
            }

            /// The word.
            #[inline]
            pub const fn bits(self) -> $word {
                self.0
            }

            /// The set in `word`; bits without a name are dropped.
            #[inline]
            pub const fn from_bits(word: $word) -> Self {
                $name(word & Self::all().0)
            }

            /// Whether no flag is set.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether all flags of `other` are set.
            #[inline]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether at least one flag of `other` is set.
            #[inline]
            pub const fn any(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Sets the flags of `other`.
            #[inline]
            pub fn set(&mut self, other: Self) {
                self.0 |= other.0;
            }

            /// Clears the flags of `other`.
            #[inline]
            pub fn clear(&mut self, other: Self) {
                self.0 &= !other.0;
            }

            /// The flags of this set that are not in `other`.
            #[inline]
            pub const fn without(self, other: Self) -> Self {
                $name(self.0 & !other.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            #[inline]
            fn bitor(self, other: Self) -> Self {
                $name(self.0 | other.0)
            }
        }

        impl std::ops::BitOrAssign for $name {
            #[inline]
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl std::ops::BitAnd for $name {
            type Output = Self;
            #[inline]
            fn bitand(self, other: Self) -> Self {
                $name(self.0 & other.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut between = "";
                for (bit, name) in Self::NAMES.iter().enumerate() {
                    if self.0 & (1 << bit) != 0 {
                        write!(f, "{between}{name}")?;
                        between = "|";
                    }
                }
                if between.is_empty() { f.write_str("-") } else { Ok(()) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
    (@flags $name:ident, $word:ty, $bit:expr, ) => {};
    (@flags $name:ident, $word:ty, $bit:expr, $(#[$flag_doc:meta])* $flag:ident, $($rest:tt)*) => {
        impl $name {
            $(#[$flag_doc])*
            pub const $flag: $name = $name(1 << ($bit));
        }
        $crate::bits!(@flags $name, $word, $bit + 1, $($rest)*);
    };
}

#[cfg(test)]
mod tests {
    bits! {
        /// For the tests.
        pub struct Three: u8 {
            /// 1
            ONE,
            /// 2
            TWO,
            /// 4
            FOUR,
        }
    }

    #[test]
    fn sets() {
        let mut set = Three::ONE | Three::FOUR;
        assert_eq!(set.bits(), 5);
        assert_eq!(format!("{set} {set:?} {}", Three::empty()), "ONE|FOUR ONE|FOUR -");
        assert!(set.has(Three::ONE) && !set.has(Three::ONE | Three::TWO) && set.any(Three::ONE | Three::TWO));
        set.clear(Three::ONE);
        set.set(Three::TWO);
        assert!(!set.is_empty());
        assert_eq!(set, Three::TWO | Three::FOUR);
        assert_eq!(Three::from_bits(0xff), Three::all());
        assert_eq!(Three::all().without(Three::TWO) & Three::FOUR, Three::FOUR);
    }
}
