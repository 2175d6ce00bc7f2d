// System settings by name: which of them we follow, which change nothing here, which we do not have.
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import type { Configuration } from './configuration.ts';

/** Follows a setting; false if this value asks for something that we do not have. */
type Apply = (configuration: Configuration, value: number, text: string) => boolean;

const put =
  (change: (configuration: Configuration, value: number, text: string) => void): Apply =>
  (configuration, value, text) => {
    change(configuration, value, text);
    return true;
  };

/** A feature that is always as one of these values has it. */
const only =
  (...values: number[]): Apply =>
  (_, value) =>
    values.includes(value);

/** Says how a system measures or paces itself: nothing that another end could see in a script. */
const harmless: Apply = () => true;

/** The last of several numbers: `tcp_rmem` has the least, the first and the largest size. */
const last = (text: string): number => Number(text.split(/\s+/).at(-1));
const second = (text: string): number => Number(text.split(/\s+/)[1] ?? text);

const LINUX: Readonly<Record<string, Apply>> = {
  tcp_timestamps: put((c, value) => {
    c.timestamps = value !== 0;
  }),
  tcp_window_scaling: put((c, value) => {
    c.windowScaling = value !== 0;
  }),
  tcp_sack: put((c, value) => {
    c.sack = value !== 0;
  }),
  tcp_ecn: (c, value) => {
    c.ecn = value;
    return value <= 2;
  },
  tcp_rmem: put((c, _, text) => {
    c.receiveBuffer = second(text);
    c.maximumReceiveBuffer = last(text);
  }),
  tcp_wmem: put((c, _, text) => {
    c.sendBuffer = last(text);
  }),
  tcp_congestion_control: (c, _, text) => {
    c.congestionControl = text === 'reno' ? 'newreno' : text;
    return text === 'reno' || text === 'cubic';
  },
  tcp_syn_retries: only(5, 6),
  tcp_synack_retries: only(5),
  tcp_retries2: only(15),
  tcp_keepalive_time: put((c, value) => {
    c.keepIdle = value * SECOND;
  }),
  tcp_keepalive_intvl: put((c, value) => {
    c.keepInterval = value * SECOND;
  }),
  tcp_keepalive_probes: put((c, value) => {
    c.keepCount = value;
  }),
  tcp_fin_timeout: put((c, value) => {
    c.finTimeout = value * SECOND;
  }),
  tcp_rto_min_us: only(200_000),
  tcp_slow_start_after_idle: put((c, value) => {
    c.slowStartAfterIdle = value !== 0;
  }),
  tcp_dsack: only(1),
  tcp_fack: harmless,
  tcp_frto: only(1, 2),
  tcp_early_retrans: only(1, 2, 3, 4),
  tcp_recovery: only(1),
  tcp_reordering: only(3),
  tcp_max_reordering: only(300),
  tcp_ecn_fallback: only(1),
  tcp_retrans_collapse: harmless,
  tcp_moderate_rcvbuf: only(1),
  tcp_adv_win_scale: only(1),
  tcp_app_win: only(31),
  tcp_tw_reuse: harmless,
  tcp_rfc1337: harmless,
  tcp_abort_on_overflow: only(0),
  tcp_base_mss: harmless,
  tcp_mtu_probing: only(0),
  tcp_min_snd_mss: only(48),
  tcp_retries1: harmless,
  tcp_orphan_retries: harmless,
  tcp_syncookies: only(0, 1),
  tcp_max_syn_backlog: harmless,
  tcp_max_tw_buckets: harmless,
  tcp_no_metrics_save: harmless,
  tcp_metrics_save: harmless,
  tcp_tso_win_divisor: harmless,
  tcp_tso_rtt_log: harmless,
  tcp_min_tso_segs: harmless,
  tcp_limit_output_bytes: harmless,
  tcp_pacing_ss_ratio: harmless,
  tcp_pacing_ca_ratio: harmless,
  tcp_notsent_lowat: (_, value) => value >= 0xffff_ffff,
  tcp_autocorking: harmless,
  tcp_challenge_ack_limit: harmless,
  tcp_invalid_ratelimit: harmless,
  tcp_min_rtt_wlen: harmless,
  tcp_comp_sack_nr: only(0, 44),
  tcp_comp_sack_delay_ns: harmless,
  tcp_comp_sack_slack_ns: harmless,
  tcp_thin_linear_timeouts: only(0),
  tcp_workaround_signed_windows: only(0),
  tcp_stdurg: only(0),
  tcp_shrink_window: only(0),
  tcp_early_demux: harmless,
  tcp_migrate_req: only(0),
  tcp_backlog_ack_defer: harmless,
  tcp_reflect_tos: only(0),
  tcp_probe_interval: harmless,
  tcp_probe_threshold: harmless,
  tcp_plb_enabled: only(0),
  // Fast open is not ours; the settings alone change nothing.
  tcp_fastopen: harmless,
  tcp_fastopen_key: harmless,
  tcp_fastopen_blackhole_timeout_sec: harmless,
  tcp_available_congestion_control: harmless,
  tcp_allowed_congestion_control: harmless,
  ip_forward: harmless,
  ip_nonlocal_bind: harmless,
  ip_local_port_range: harmless,
  ip_no_pmtu_disc: only(0),
  icmp_ratelimit: harmless,
  icmp_msgs_per_sec: harmless,
  tcp_mem: harmless,
};

const FREEBSD: Readonly<Record<string, Apply>> = {
  rfc1323: put((c, value) => {
    c.timestamps = value === 1 || value === 3;
    c.windowScaling = value === 1 || value === 2;
  }),
  'sack.enable': put((c, value) => {
    c.sack = value !== 0;
  }),
  'ecn.enable': (c, value) => {
    c.ecn = value;
    return value <= 2;
  },
  recvspace: put((c, value) => {
    c.receiveBuffer = value;
  }),
  sendspace: put((c, value) => {
    c.sendBuffer = value;
  }),
  keepidle: put((c, value) => {
    c.keepIdle = value * MILLISECOND;
  }),
  keepintvl: put((c, value) => {
    c.keepInterval = value * MILLISECOND;
  }),
  keepcnt: put((c, value) => {
    c.keepCount = value;
  }),
  keepinit: put((c, value) => {
    c.keepInit = value * MILLISECOND;
  }),
  rexmit_slop: put((c, value) => {
    c.retransmissionSlop = value * MILLISECOND;
  }),
  rexmit_initial: only(1_000),
  rexmit_drop_options: only(0),
  'ecn.maxretries': put((c, value) => {
    c.ecnRetries = value;
  }),
  blackhole: only(0),
  insecure_rst: only(0),
  insecure_syn: only(0),
  drop_synfin: put((c, value) => {
    c.takesSynFin = value === 0;
  }),
  // Ours is 40 ms, as Linux has it.
  delacktime: only(40),
  'hostcache.purgenow': harmless,
  icmp_may_rst: only(1),
  syncookies: only(0, 1),
  'cc.algorithm': (c, _, text) => {
    c.congestionControl = text;
    return text === 'newreno' || text === 'cubic';
  },
};

/**
 * Follows one setting.
 * @returns the name of what we do not have, if that is what the script sets
 */
export function setSystem(
  configuration: Configuration,
  name: string,
  text: string,
): string | undefined {
  const key = name.replaceAll('/', '.').replace(/^\.?proc\.sys\./, '');
  const [, system = '', rest = ''] =
    /^(net\.inet\.tcp|kern\.ipc|net\.ipv4|net\.ipv6|net\.core)\.(.+)$/.exec(key) ?? [];
  const value = Number(text);
  if (system === 'net.inet.tcp') {
    configuration.system = 'freebsd';
    // That system delays its first acknowledgments as it does all others.
    configuration.quickAcks = false;
    const known = FREEBSD[rest]?.(configuration, value, text) === true;
    return known ? undefined : `${name}=${text}`;
  }
  if (system === 'kern.ipc') {
    if (rest !== 'maxsockbuf') return `${name}=${text}`;
    // What that system keeps for the bookkeeping of its buffers is not in the window.
    configuration.maximumReceiveBuffer = value;
    return undefined;
  }
  configuration.system = 'linux';
  // Buffers and queues of the whole host; addresses and forwarding of the tests' device.
  if (system === 'net.core' || system === 'net.ipv6') return undefined;
  const known = LINUX[rest]?.(configuration, value, text) === true;
  return known ? undefined : `${name}=${text}`;
}
