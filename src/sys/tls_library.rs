//! What the TLS library says about itself. Why unsafe: one call without arguments into C.

/// AWS-LC's API number; `None` for any other library.
pub fn awslc_api() -> Option<u64> {
    #[cfg(feature = "aws-lc")]
    return u64::try_from(aws_lc_sys::AWSLC_API_VERSION).ok();
    #[cfg(not(feature = "aws-lc"))]
    None
}

/// True when the library runs in its validated mode.
pub fn fips() -> bool {
    #[cfg(feature = "aws-lc")]
    // SAFETY: takes nothing and reads a constant of the library.
    return unsafe { aws_lc_sys::FIPS_mode() } == 1;
    #[cfg(not(feature = "aws-lc"))]
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_api_number_is_there_with_its_library() {
        assert_eq!(super::awslc_api().is_some(), cfg!(feature = "aws-lc"));
        assert!(!super::fips() || cfg!(feature = "aws-lc"));
    }
}
