"""The section `control:`: what is promised, how soon it is decided, and who signs."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from replicator.config.section import Section


class Control(Section):
    """How restore points are published, health is judged and standbys are activated."""

    min_copies: int = Field(1, ge=1, description="so many destinations are to keep every change, always")
    decide_within_s: float = Field(
        30.0, gt=0, description="from a hard failure of a destination to the decision about it"
    )
    probe_every_s: float | None = Field(None, gt=0, description="a sixth of decide_within_s by default")
    probe_timeout_s: float | None = Field(None, gt=0, description="a sixth of decide_within_s by default")
    write_probe_every_s: float = Field(
        60.0, gt=0, description="a healthy destination is only read between two of these"
    )
    down_after_s: float | None = Field(
        None, gt=0, description="of failures without a break; half of decide_within_s by default"
    )
    healthy_after_s: float = Field(60.0, ge=0, description="of successes without a break, after it was down")
    slow_s: float = Field(5.0, gt=0, description="a probe that takes longer on average is degraded health")
    stalled_after_s: float = Field(
        120.0, gt=0, description="a lane with lag that commits nothing for so long doesn't keep its promise"
    )
    min_active_s: float = Field(600.0, ge=0, description="a standby stays active for so long at least")
    release_after_s: float = Field(
        300.0, ge=0, description="the promise was kept without the standby for so long before it is released"
    )
    caught_up_s: float = Field(
        60.0, gt=0, description="a destination counts for a release when its RPO is less"
    )
    point_every_s: float = Field(60.0, gt=0, description="restore points are published as often")
    watch_every_s: float = Field(15.0, gt=0, description="Connect, slot and retention are looked at so often")
    silent_after_s: float = Field(
        120.0,
        gt=0,
        description="alert when a connector that runs has sent nothing for so long, heartbeats included",
    )
    retention_alert_h: float = Field(
        24.0, ge=0, description="alert when Kafka would drop what a destination lacks within so many hours"
    )
    wal_alert_bytes: int = Field(
        10 * 2**30, gt=0, description="alert when the slot retains more WAL than that"
    )
    verify_every_h: float = Field(
        24.0, ge=0, description="every destination on duty is verified as often; 0 for never"
    )
    verify_sample: float = Field(
        0.0, ge=0, le=100, description="per cent of the segments whose every byte is read; 0: names and sizes"
    )
    signing_key: SecretStr | None = Field(
        None, description="Ed25519 private key, PEM (PKCS #8), that signs restore points"
    )
    public_keys: list[str] = Field(
        [], description="further Ed25519 public keys, PEM, whose restore points are believed"
    )
    unsigned: bool = Field(False, description="publish and believe restore points without a signature")
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9465, ge=0, le=65535)

    @property
    def probe_interval_s(self) -> float:
        """Seconds from one probe's beginning to the next one's."""
        return self.probe_every_s or self.decide_within_s / 6

    @property
    def probe_patience_s(self) -> float:
        """Seconds after which a probe without an answer has failed."""
        return self.probe_timeout_s or self.decide_within_s / 6

    @property
    def down_delay_s(self) -> float:
        """Seconds of failures without a break after which a destination is down."""
        return self.down_after_s or self.decide_within_s / 2

    @model_validator(mode="after")
    def _decides_in_time(self) -> Control:
        needed = self.probe_interval_s + self.probe_patience_s + self.down_delay_s
        if needed > self.decide_within_s:
            raise ValueError(
                f"probe_every_s + probe_timeout_s + down_after_s are {needed:g} s, more than decide_within_s "
                f"({self.decide_within_s:g}): a failure can't be decided in time"
            )
        return self
