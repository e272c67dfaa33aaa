//! Variables a configuration sees: the process's environment below what `setenv` and its family wrote.
//! Used by the reader while it cuts lines, so that a variable set on one line counts on the next.

use std::collections::BTreeMap;

/// Variables, never written to the environment of this process.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// What was set or removed; `None` hides an inherited one.
    own: BTreeMap<String, Option<String>>,
    inherit: bool,
}

impl Env {
    /// The environment of this process.
    pub fn inherited() -> Self {
        Env { own: BTreeMap::new(), inherit: true }
    }

    /// No variables at all.
    pub fn empty() -> Self {
        Env::default()
    }

    /// The value of a variable.
    pub fn var(&self, name: &str) -> Option<String> {
        match self.own.get(name) {
            Some(own) => own.clone(),
            None if self.inherit && !name.is_empty() && !name.contains(['=', '\0']) => {
                std::env::var(name).ok()
            }
            None => None,
        }
    }

    /// `setenv`.
    pub fn set(&mut self, name: &str, value: &str) {
        self.own.insert(name.to_string(), Some(value.to_string()));
    }

    /// `presetenv`: only when it is not there yet.
    pub fn preset(&mut self, name: &str, value: &str) {
        if self.var(name).is_none() {
            self.set(name, value);
        }
    }

    /// `unsetenv`.
    pub fn unset(&mut self, name: &str) {
        self.own.insert(name.to_string(), None);
    }

    /// `resetenv`: only these stay.
    pub fn keep_only(&mut self, names: &[&str]) {
        let kept: Vec<(String, Option<String>)> =
            names.iter().map(|name| (name.to_string(), self.var(name))).collect();
        self.own = kept.into_iter().filter(|(_, value)| value.is_some()).collect();
        self.inherit = false;
    }

    /// What was set or removed, for those who run other programs.
    pub fn changes(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.own.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_variables_cover_inherited_ones() {
        let mut env = Env::inherited();
        let path = env.var("PATH");
        assert!(path.is_some());
        env.preset("PATH", "x");
        assert_eq!(env.var("PATH"), path);
        env.set("PATH", "x");
        assert_eq!(env.var("PATH").as_deref(), Some("x"));
        env.unset("PATH");
        assert_eq!(env.var("PATH"), None);
        env.set("A", "1");
        env.keep_only(&["A", "NOPE"]);
        assert_eq!((env.var("A").as_deref(), env.var("HOME")), (Some("1"), None));
        assert_eq!(env.var("bad=name"), None);
    }
}
