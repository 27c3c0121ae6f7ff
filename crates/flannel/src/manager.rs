//! Getting a subnet (upstream's `subnet/etcd/local_manager.go`): our own from before, else a free one.

use std::net::Ipv4Addr;

use crate::{
    Error,
    config::Config,
    lease::{Lease, LeaseAttrs},
    net::Ipv4Net,
    registry::Registry,
};

/// How often another host may be faster before we give up.
const RACE_RETRIES: usize = 10;
/// Out of how many free subnets one is drawn: hosts that start together rarely draw the same.
const DRAW_FROM: usize = 100;

/// What to do about the leases that exist. Pure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This lease has our address: it is ours.
    Reuse(Lease),
    /// This lease has our address but no place in the network's configuration any more.
    Replace(Ipv4Net),
    /// Take this one.
    Create(Ipv4Net),
    /// Take one of these.
    Draw(Vec<Ipv4Net>),
}

/// Decides which subnet the host at `public_ip` should get, `previous` being what it had when it last ran.
pub(crate) fn choose(
    config: &Config,
    leases: &[Lease],
    public_ip: Ipv4Addr,
    previous: Option<Ipv4Net>,
) -> Result<Choice, String> {
    if let Some(lease) = leases.iter().find(|lease| lease.attrs.public_ip == public_ip) {
        if config.fits(lease.subnet) {
            return Ok(Choice::Reuse(lease.clone()));
        }
        return Ok(Choice::Replace(lease.subnet));
    }
    let taken = |subnet: Ipv4Net| leases.iter().any(|lease| lease.subnet.overlaps(subnet));
    if let Some(previous) = previous.filter(|previous| config.fits(*previous) && !taken(*previous)) {
        return Ok(Choice::Create(previous));
    }
    let free: Vec<Ipv4Net> = config.subnets().filter(|subnet| !taken(*subnet)).take(DRAW_FROM).collect();
    if free.is_empty() { Err("out of subnets".into()) } else { Ok(Choice::Draw(free)) }
}

/// Leases a subnet for this host.
pub(crate) async fn acquire(
    registry: &Registry,
    config: &Config,
    attrs: &LeaseAttrs,
    previous: Option<Ipv4Net>,
) -> Result<Lease, Error> {
    let public_ip = attrs.public_ip;
    for _ in 0..RACE_RETRIES {
        let (leases, _) = registry.leases().await?;
        let subnet = match choose(config, &leases, public_ip, previous).map_err(Error::Lease)? {
            Choice::Reuse(mut lease) => {
                tracing::info!("Found lease (ip: {}) for current IP ({public_ip}), reusing", lease.subnet);
                lease.attrs = attrs.clone();
                registry.renew(&lease).await?;
                return Ok(lease);
            }
            Choice::Replace(subnet) => {
                tracing::info!(
                    "Found lease ({subnet}) for current IP ({public_ip}) but not compatible with current config, deleting"
                );
                registry.delete(subnet).await?;
                continue;
            }
            Choice::Create(subnet) => {
                tracing::info!("Found previously leased subnet ({subnet}), reusing");
                subnet
            }
            Choice::Draw(free) => {
                tracing::info!("Picking subnet in range {} ... {}", config.subnet_min, config.subnet_max);
                draw(&free)
            }
        };
        if registry.create(subnet, attrs).await? {
            tracing::info!("Allocated lease (ip: {subnet}) to current node ({public_ip})");
            return Ok(Lease { subnet, attrs: attrs.clone(), reserved: false });
        }
    }
    Err(Error::Lease("Max retries reached trying to acquire a subnet".into()))
}

fn draw(free: &[Ipv4Net]) -> Ipv4Net {
    let len = u64::try_from(free.len()).unwrap_or(1).max(1);
    let index = usize::try_from(component_base::rand::u64() % len).unwrap_or(0);
    free[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(br#"{"Network":"10.5.0.0/22","Backend":{"Type":"host-gw"},"SubnetLen":24}"#).unwrap()
    }

    fn lease(subnet: &str, host: u8) -> Lease {
        let json = format!(r#"{{"PublicIP":"192.168.0.{host}","BackendType":"host-gw"}}"#);
        Lease::parse(subnet.as_bytes(), json.as_bytes(), 1).unwrap()
    }

    #[test]
    fn own_address_then_previous_then_any() {
        let (us, config) = (Ipv4Addr::new(192, 168, 0, 1), config());
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        let ours = lease("10.5.2.0-24", 1);
        assert_eq!(choose(&config, std::slice::from_ref(&ours), us, None), Ok(Choice::Reuse(ours)));
        let odd = lease("10.9.0.0-24", 1);
        assert_eq!(choose(&config, &[odd], us, None), Ok(Choice::Replace(net("10.9.0.0/24"))));
        let other = lease("10.5.1.0-24", 2);
        let before = Some(net("10.5.3.0/24"));
        assert_eq!(
            choose(&config, std::slice::from_ref(&other), us, before),
            Ok(Choice::Create(net("10.5.3.0/24")))
        );
        let stolen = Some(net("10.5.1.0/24"));
        assert_eq!(
            choose(&config, std::slice::from_ref(&other), us, stolen),
            Ok(Choice::Draw(vec![net("10.5.2.0/24"), net("10.5.3.0/24")]))
        );
        let full = [other, lease("10.5.2.0-23", 3)];
        assert_eq!(choose(&config, &full, us, None), Err("out of subnets".into()));
    }
}
