//! The only unsafe code of lighterman, behind safe faces.
