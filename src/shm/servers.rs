//! Servers: health, weight, address and the operator's wishes, the same for all processes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::{ObjectCell, ServerCell};
use crate::base::tick::Tick;

/// Whether an operator keeps a server from taking traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admin {
    /// It takes traffic as its health allows.
    Ready = 0,
    /// Only what is bound to it by persistence.
    Drain = 1,
    /// Nothing.
    Maint = 2,
}

/// [`Admin::Maint`] because the configuration says so.
const DISABLED: u32 = 3;

/// Whether a server answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It does, or nobody checks.
    Up = 0,
    /// It does not.
    Down = 1,
}

impl ServerCell {
    /// What the operator wants.
    pub fn admin(&self) -> Admin {
        match self.admin.load(Relaxed) {
            0 => Admin::Ready,
            1 => Admin::Drain,
            _ => Admin::Maint,
        }
    }

    /// Sets what the operator wants.
    pub fn set_admin(&self, admin: Admin) {
        self.admin.store(admin as u32, Relaxed);
    }

    /// The configuration says whether it starts in maintenance (`disabled`). A wish of the operator
    /// outlives a configuration that says nothing.
    pub fn set_disabled(&self, disabled: bool) {
        if disabled {
            self.admin.store(DISABLED, Relaxed);
        } else if self.is_disabled() {
            self.set_admin(Admin::Ready);
        }
    }

    /// Whether it is the configuration that keeps it in maintenance.
    pub fn is_disabled(&self) -> bool {
        self.admin.load(Relaxed) == DISABLED
    }

    /// Whether it answers.
    pub fn health(&self) -> Health {
        if self.down.load(Relaxed) == 0 {
            Health::Up
        } else {
            Health::Down
        }
    }

    /// It began or ceased to answer. `object` keeps the times; nothing happens when that was known.
    pub fn set_health(&self, health: Health, object: &ObjectCell, now: Tick) {
        if self.down.swap(health as u32, Relaxed) == health as u32 {
            return;
        }
        if health == Health::Up {
            let since = now.0.saturating_sub(object.changed_ms.load(Relaxed));
            object.down_ms.fetch_add(since, Relaxed);
        } else {
            self.downs.fetch_add(1, Relaxed);
        }
        object.changed_ms.store(now.0, Relaxed);
    }

    /// The weight in force, 0 to 256.
    pub fn weight(&self, configured: u32) -> u32 {
        match self.weight.load(Relaxed) {
            0 => configured,
            set => set - 1,
        }
    }

    /// Sets the weight.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight.saturating_add(1), Relaxed);
    }

    /// The address in place of the configured one.
    pub fn addr(&self) -> Option<SocketAddr> {
        // A writer that died halfway leaves the turn odd: the configured address holds then.
        for _ in 0..1000 {
            let turn = self.addr_turn.load(Acquire);
            let words = [0, 1, 2].map(|at| self.addr[at].load(Acquire));
            if turn.is_multiple_of(2) && self.addr_turn.load(Acquire) == turn {
                return unpack(words);
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Sets an address, or goes back to the configured one. Called by the control role only.
    pub fn set_addr(&self, addr: Option<SocketAddr>) {
        let turn = self.addr_turn.load(Relaxed) | 1;
        self.addr_turn.store(turn, Release);
        for (word, value) in self.addr.iter().zip(addr.map_or([0; 3], pack)) {
            word.store(value, Release);
        }
        self.addr_turn.store(turn.wrapping_add(1), Release);
    }
}

fn pack(addr: SocketAddr) -> [u64; 3] {
    let (family, ip) = match addr.ip() {
        IpAddr::V4(four) => (4, u128::from(u32::from(four))),
        IpAddr::V6(six) => (6, u128::from(six)),
    };
    [family << 32 | u64::from(addr.port()), (ip >> 64) as u64, ip as u64]
}

fn unpack([head, high, low]: [u64; 3]) -> Option<SocketAddr> {
    let ip = match head >> 32 {
        4 => IpAddr::V4((low as u32).into()),
        6 => IpAddr::V6((u128::from(high) << 64 | u128::from(low)).into()),
        _ => return None,
    };
    Some(SocketAddr::new(ip, head as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lighterman_sys::map::Region;

    #[test]
    fn what_is_set_is_read() {
        let cell = &Region::<ServerCell>::alone(1).unwrap()[0];
        assert_eq!(
            (cell.admin(), cell.health(), cell.weight(7), cell.addr()),
            (Admin::Ready, Health::Up, 7, None)
        );
        cell.set_admin(Admin::Drain);
        cell.set_weight(0);
        assert_eq!((cell.admin(), cell.weight(7)), (Admin::Drain, 0));
        for text in ["192.0.2.1:80", "[2001:db8::1]:443"] {
            let addr: SocketAddr = text.parse().unwrap();
            cell.set_addr(Some(addr));
            assert_eq!(cell.addr(), Some(addr));
        }
        cell.set_addr(None);
        assert_eq!(cell.addr(), None);
        cell.addr_turn.store(7, Relaxed);
        assert_eq!(cell.addr(), None, "a writer that died");
        cell.set_addr("192.0.2.1:80".parse().ok());
        assert!(cell.addr().is_some());
    }

    #[test]
    fn the_operator_outlives_a_silent_configuration() {
        let cell = &Region::<ServerCell>::alone(1).unwrap()[0];
        cell.set_disabled(true);
        assert!(cell.is_disabled() && cell.admin() == Admin::Maint);
        cell.set_disabled(false);
        assert_eq!(cell.admin(), Admin::Ready);
        cell.set_admin(Admin::Maint);
        cell.set_disabled(false);
        assert!(!cell.is_disabled() && cell.admin() == Admin::Maint);
    }

    #[test]
    fn downtime_adds_up() {
        let cell = &Region::<ServerCell>::alone(1).unwrap()[0];
        let object = &Region::<ObjectCell>::alone(1).unwrap()[0];
        for (ms, health) in [
            (1000, Health::Down),
            (1500, Health::Down),
            (3000, Health::Up),
            (4000, Health::Down),
            (4100, Health::Up),
        ] {
            cell.set_health(health, object, Tick(ms));
        }
        assert_eq!((object.down_ms.load(Relaxed), object.changed_ms.load(Relaxed)), (2100, 4100));
        assert_eq!(cell.downs.load(Relaxed), 2);
    }
}
