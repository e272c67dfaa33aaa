//! Fetches and converters of HAProxy that have no row here: asked before a name is called unknown, so that a file
//! written for HAProxy gets a clear answer for each of them. A name leaves these lists when it gets its row; a test sees
//! to that.

/// Fetches that are not built.
#[rustfmt::skip]
pub const FETCHES: &[&str] = &[
    "51d.all", "cpu_calls", "cpu_ns_avg", "cpu_ns_tot", "da-csv-fetch", "distcc_body", "distcc_param",
    "internal.htx.data", "internal.htx.free", "internal.htx.free_data", "internal.htx.has_eom", "internal.htx.nbblks",
    "internal.htx.size", "internal.htx.used", "internal.htx_blk.data", "internal.htx_blk.hdrname",
    "internal.htx_blk.hdrval", "internal.htx_blk.size", "internal.htx_blk.start_line", "internal.htx_blk.type",
    "lat_ns_avg", "lat_ns_tot", "quic_enabled", "res.cache_hit", "res.cache_name", "res.comp",
    "res.comp_algo", "ssl_bc_npn", "ssl_fc_npn", "wurfl-get", "wurfl-get-all",
];

/// Converters that are not built.
#[rustfmt::skip]
pub const CONVERTERS: &[&str] = &[
    "51d.single", "aes_cbc_dec", "aes_cbc_enc", "aes_gcm_dec", "aes_gcm_enc", "da-csv-conv", "fix_is_valid",
    "fix_tag_value", "jwt_decrypt_alg_list", "jwt_decrypt_cert", "jwt_decrypt_jwk", "jwt_decrypt_secret", "jwt_verify",
    "jwt_verify_cert", "mqtt_field_value", "mqtt_is_valid",
];

/// Whether such a name is in a list, or is that of a Lua function.
pub fn is_known(list: &[&str], name: &str) -> bool {
    list.contains(&name) || name.starts_with("lua.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{conv, fetch};

    #[test]
    fn what_is_built_is_not_listed() {
        for list in [FETCHES, CONVERTERS] {
            assert!(list.is_sorted());
        }
        assert_eq!(CONVERTERS.iter().find(|name| conv::find(name).is_some()), None);
        let found = |name: &&&str| fetch::all().any(|row| row.kw == **name);
        assert_eq!(FETCHES.iter().find(found), None);
    }
}
