//! The program seen from outside: one module per theme, all in one binary (linked once).
//!
//! The other files beside this one are themes that wait for their part of the program.
