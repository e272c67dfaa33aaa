//! Settings of contexts and stores that the openssl crate has no face for, or not for both libraries.

use std::ffi::CString;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::ssl::SslContextBuilder;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::X509Crl;
use openssl_sys as ffi;

use super::lib_face;

/// The cipher suites of TLS 1.3, by their names with `:` between. Unknown names are an error.
pub fn set_ciphersuites(builder: &mut SslContextBuilder, names: &str) -> Result<(), ErrorStack> {
    let names = CString::new(names).map_err(|_| ErrorStack::get())?;
    // SAFETY: the context is alive and the library copies what it needs of the string.
    check(i64::from(unsafe { ffi::SSL_CTX_set_ciphersuites(builder.as_ptr(), names.as_ptr()) }))
}

/// The signature algorithms that are offered and accepted, preferred first.
pub fn set_signature_algorithms(builder: &mut SslContextBuilder, names: &str) -> Result<(), ErrorStack> {
    let names = CString::new(names).map_err(|_| ErrorStack::get())?;
    // SAFETY: the context is alive and the library copies what it needs of the string.
    #[allow(clippy::useless_conversion, reason = "a c_int in one library, a c_long in the other")]
    check(i64::from(unsafe { ffi::SSL_CTX_set1_sigalgs_list(builder.as_ptr(), names.as_ptr()) }))
}

/// Adds a revocation list (DER) to a store. It is asked only when the store's flags say so.
pub fn add_revocations(store: &mut X509StoreBuilder, der: &[u8]) -> Result<(), ErrorStack> {
    let list = X509Crl::from_der(der)?;
    // SAFETY: both are alive; the store takes a reference of its own.
    check(i64::from(unsafe { lib_face::X509_STORE_add_crl(store.as_ptr(), list.as_ptr()) }))
}

fn check(result: i64) -> Result<(), ErrorStack> {
    if result > 0 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}
