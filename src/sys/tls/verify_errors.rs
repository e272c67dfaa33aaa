//! The names of verification errors, for configurations and logs.
//!
//! Both libraries agree on these numbers; what lies beyond them differs and is written as a number.

/// `(name without X509_V_ERR_, number)`, by number.
const NAMES: &[(&str, u8)] = &[
    ("UNSPECIFIED", 1),
    ("UNABLE_TO_GET_ISSUER_CERT", 2),
    ("UNABLE_TO_GET_CRL", 3),
    ("UNABLE_TO_DECRYPT_CERT_SIGNATURE", 4),
    ("UNABLE_TO_DECRYPT_CRL_SIGNATURE", 5),
    ("UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY", 6),
    ("CERT_SIGNATURE_FAILURE", 7),
    ("CRL_SIGNATURE_FAILURE", 8),
    ("CERT_NOT_YET_VALID", 9),
    ("CERT_HAS_EXPIRED", 10),
    ("CRL_NOT_YET_VALID", 11),
    ("CRL_HAS_EXPIRED", 12),
    ("ERROR_IN_CERT_NOT_BEFORE_FIELD", 13),
    ("ERROR_IN_CERT_NOT_AFTER_FIELD", 14),
    ("ERROR_IN_CRL_LAST_UPDATE_FIELD", 15),
    ("ERROR_IN_CRL_NEXT_UPDATE_FIELD", 16),
    ("OUT_OF_MEM", 17),
    ("DEPTH_ZERO_SELF_SIGNED_CERT", 18),
    ("SELF_SIGNED_CERT_IN_CHAIN", 19),
    ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 20),
    ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", 21),
    ("CERT_CHAIN_TOO_LONG", 22),
    ("CERT_REVOKED", 23),
    ("NO_ISSUER_PUBLIC_KEY", 24),
    ("PATH_LENGTH_EXCEEDED", 25),
    ("INVALID_PURPOSE", 26),
    ("CERT_UNTRUSTED", 27),
    ("CERT_REJECTED", 28),
    ("SUBJECT_ISSUER_MISMATCH", 29),
    ("AKID_SKID_MISMATCH", 30),
    ("AKID_ISSUER_SERIAL_MISMATCH", 31),
    ("KEYUSAGE_NO_CERTSIGN", 32),
    ("UNABLE_TO_GET_CRL_ISSUER", 33),
    ("UNHANDLED_CRITICAL_EXTENSION", 34),
    ("KEYUSAGE_NO_CRL_SIGN", 35),
    ("UNHANDLED_CRITICAL_CRL_EXTENSION", 36),
    ("INVALID_NON_CA", 37),
    ("PROXY_PATH_LENGTH_EXCEEDED", 38),
    ("KEYUSAGE_NO_DIGITAL_SIGNATURE", 39),
    ("PROXY_CERTIFICATES_NOT_ALLOWED", 40),
    ("INVALID_EXTENSION", 41),
    ("INVALID_POLICY_EXTENSION", 42),
    ("NO_EXPLICIT_POLICY", 43),
    ("DIFFERENT_CRL_SCOPE", 44),
    ("UNSUPPORTED_EXTENSION_FEATURE", 45),
    ("UNNESTED_RESOURCE", 46),
    ("PERMITTED_VIOLATION", 47),
    ("EXCLUDED_VIOLATION", 48),
    ("SUBTREE_MINMAX", 49),
    ("APPLICATION_VERIFICATION", 50),
    ("UNSUPPORTED_CONSTRAINT_TYPE", 51),
    ("UNSUPPORTED_CONSTRAINT_SYNTAX", 52),
    ("UNSUPPORTED_NAME_SYNTAX", 53),
    ("CRL_PATH_VALIDATION_ERROR", 54),
    ("PATH_LOOP", 55),
    ("SUITE_B_INVALID_VERSION", 56),
    ("SUITE_B_INVALID_ALGORITHM", 57),
    ("SUITE_B_INVALID_CURVE", 58),
    ("SUITE_B_INVALID_SIGNATURE_ALGORITHM", 59),
    ("SUITE_B_LOS_NOT_ALLOWED", 60),
    ("SUITE_B_CANNOT_SIGN_P_384_WITH_P_256", 61),
    ("HOSTNAME_MISMATCH", 62),
    ("EMAIL_MISMATCH", 63),
    ("IP_ADDRESS_MISMATCH", 64),
];

/// The number behind a name such as `X509_V_ERR_CERT_HAS_EXPIRED`.
pub fn named(name: &str) -> Option<u8> {
    let short = name.strip_prefix("X509_V_ERR_")?;
    NAMES.iter().find(|(known, _)| *known == short).map(|(_, number)| *number)
}

/// The name of a number, without `X509_V_ERR_`.
pub fn name(number: i32) -> Option<&'static str> {
    NAMES.iter().find(|(_, known)| i32::from(*known) == number).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl_sys as ffi;

    #[test]
    fn numbers_are_those_of_the_library() {
        let rows = [
            ("X509_V_ERR_CERT_HAS_EXPIRED", ffi::X509_V_ERR_CERT_HAS_EXPIRED),
            ("X509_V_ERR_CERT_REVOKED", ffi::X509_V_ERR_CERT_REVOKED),
            ("X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", ffi::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN),
            ("X509_V_ERR_HOSTNAME_MISMATCH", ffi::X509_V_ERR_HOSTNAME_MISMATCH),
            (
                "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
                ffi::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            ),
        ];
        for (text, number) in rows {
            assert_eq!(named(text).map(i32::from), Some(number), "{text}");
            assert_eq!(name(number), text.strip_prefix("X509_V_ERR_"));
        }
        assert_eq!(named("CERT_REVOKED"), None);
        assert_eq!(name(0), None);
    }
}
