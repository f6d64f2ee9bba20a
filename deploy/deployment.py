"""The steps from one release to another, each of which may fail, be interrupted or be killed.

Until the hand-over nothing that serves is touched. What Docker shows decides how an interrupted deploy is ended, not
what this process remembered: the published socket says who has the traffic, the records whether that was confirmed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from deploy import proxy
from deploy.engine import Container, Engine, docker, last_line, reason, run
from deploy.progress import DeployError, paint, say, step
from deploy.records import FAILED, PREPARING, ROLLED_BACK, SERVED, SERVING, Records, Release
from deploy.smoke import Site

# What starts beside the release that serves gets what that leaves over.
LOW_SHARES, FULL_SHARES = "128", "1024"
# The longest a request may take is the harakiri of 30 s.
DRAIN_SECONDS = "32"
WARMED = ("/", "/search/?q=a", "/feed.atom", "/sitemap.xml", "/account/login/")


class InterruptedDeployError(BaseException):
    """Somebody asked to stop."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """Signal handler: ends the step at hand. The clean-up that follows is bounded, so it is not interrupted again."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise InterruptedDeployError(signal.Signals(number).name)


class Deployment:
    """One run of `make deploy` or `make rollback` on a project in production."""

    def __init__(self, engine: Engine, records: Records) -> None:
        self.engine = engine
        self.records = records
        bound = [item.ports.get("8443/tcp") for item in engine.containers("proxy")]
        address, port = (bound and bound[0]) or (os.environ.get("BIND", ""), os.environ["HTTPS_PORT"])
        host = os.environ["ALLOWED_HOSTS"].split(",")[0]
        self.site = Site(host, "127.0.0.1" if address in ("", "0.0.0.0") else address, int(port))  # noqa: S104
        self.patience = float(os.environ.get("HEALTHY_SECONDS") or "120")
        self.entry: Release | None = None
        self.started = time.monotonic()
        # Seconds from the start until the release had the traffic.
        self.taken = 0.0

    # --- what is there

    def webs(self) -> list[Container]:
        """The running containers of web, the newest first."""
        return [item for item in self.engine.containers("web") if item.running]

    def published(self, running: list[Container]) -> str:
        """The socket that the traffic goes to."""
        for item in running:
            with suppress(DeployError):
                return self.engine.serve(item, "current").strip()
        raise DeployError(
            "no container of web answers: `make ps` and `make logs` say more, `make prod-up` starts it anew"
        )

    def serving(self) -> Container:
        """The container that has the traffic, else the oldest. Raises DeployError when none runs."""
        running = self.webs()
        if not running:
            raise DeployError("nothing runs that could be replaced: `make prod-up` starts it")
        published = self.published(running)
        return next((item for item in running if item.socket == published), running[-1])

    def images(self, release: str) -> dict[str, str]:
        """The ids of a release's images by their service; empty for those that are not here."""
        return {name: self.engine.image(f"slipway/{name}:{release}") for name in ("web", "proxy", "db")}

    def suits(self, serving: Container, release: str, image: str) -> bool:
        """Whether a container is what Compose would start for the release."""
        environment = {"RELEASE": release, "GENERATION": str(serving.generation)}
        return (serving.image, serving.release) == (image, release) and self.engine.would_stay("web", environment)

    def differs(self, release: str) -> bool:
        """Whether `deploy` would have something to do."""
        return self.leftovers() or not self.suits(self.serving(), release, self.images(release)["web"])

    # --- the journal

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[list[str]]:
        """A step: noted before it begins, so that whoever comes after a crash sees how far it came."""
        if self.entry:
            self.entry.step = name
            self.records.save()
        with step(text) as notes:
            yield notes

    def end(self, status: str, reason: str = "") -> None:
        """Note how the deploy at hand ended."""
        if self.entry:
            self.entry.status, self.entry.reason, self.entry.finished = status, reason, time.time()
            self.records.save()

    def note_running(self) -> Release:
        """The entry of the release that serves; made when `make prod-up` has started it, or no record was kept."""
        serving = self.serving()
        for item in self.records.releases:
            if item.status == PREPARING and item.generation != serving.generation:
                item.status, item.reason = FAILED, item.reason or f"interrupted at the step {item.step}"
            if item.status == SERVING and item.generation != serving.generation:
                item.status = SERVED
        entry = next((item for item in self.records.releases if item.generation == serving.generation), None)
        if entry is None:
            entry = Release(serving.release, serving.image, serving.generation, started=time.time(), step="prod-up")
            self.records.releases.append(entry)
        if entry.status != SERVING:
            entry.status, entry.finished = SERVING, time.time()
        self.records.save()
        return entry

    # --- ending what was interrupted

    def leftovers(self) -> bool:
        """Whether an earlier deploy was cut off."""
        return bool(
            len(self.engine.containers("web")) > 1
            or len(self.engine.containers("worker")) > 1
            or [item.running for item in self.engine.containers("proxy")] != [True]
            or self.engine.containers("release", oneoff=True)
            or any(item.status == PREPARING for item in self.records.releases)
        )

    def settle(self, hand_back: bool = False) -> Container:
        """End a deploy that was cut off: with the new release if it has the traffic and serves well, else with the old.

        `hand_back`: it is known not to. Returns the container that serves.
        """
        for service in ("release", "proxy"):
            self.engine.remove(self.engine.containers(service, oneoff=True))
        proxy.settle(self.engine)
        serving = self.serving()
        confirmed = any(
            item.generation == serving.generation and item.status == SERVING for item in self.records.releases
        )
        older = [item for item in self.webs() if item.generation < serving.generation]
        if older and (hand_back or (not confirmed and self.site.problem_lasting(serving.release))):
            self.engine.serve(older[0], "take", older[0].socket, str(serving.generation))
            serving = older[0]
        elif self.published(self.webs()) != serving.socket:
            # The one that had the traffic is dead.
            self.engine.serve(serving, "take", serving.socket)
        others = [item for item in self.engine.containers("web") if item.id != serving.id]
        untouched = [item for item in others if item.generation > serving.generation and not hand_back]
        workers = self.engine.containers("worker")
        for suits in (
            lambda item: item.running and item.generation == serving.generation,
            lambda item: item.running and item.release == serving.release,
            lambda item: item.running,
        ):
            if kept := [item for item in workers if suits(item)]:
                workers.remove(kept[0])
                break
        self.engine.remove(untouched)
        self.engine.stop([*(item for item in others if item not in untouched), *workers])
        self.engine.serve(serving, "release")
        return serving

    def recover(self) -> None:
        """End what an earlier run was cut off at, if one was."""
        if not self.leftovers():
            return
        with step("An earlier deploy was cut off") as notes:
            serving = self.settle()
            entry = self.note_running()
            notes.append(f"{entry.release} serves, {serving.name}")

    # --- the steps

    def deploy(self, release: str) -> None:
        """Replace what runs by `release`, whose image of web must be here. Raises DeployError."""
        self.replace(release, self.begin())

    def begin(self) -> Release:
        """Heed signals, and end what an earlier run was cut off at; the entry of the release that serves."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        self.recover()
        return self.note_running()

    def replace(self, release: str, before: Release, rollback: bool = False) -> None:
        """Replace what runs, whose entry is `before`, by `release`. Raises DeployError."""
        old = self.serving()
        images = self.images(release)
        if not images["web"]:
            raise DeployError(f"there is no image slipway/web:{release}: `make deploy` without RELEASE builds one")
        if self.suits(old, release, images["web"]):
            # An interrupted deploy may have ended without one.
            self.up(("worker",), {"RELEASE": release, "GENERATION": str(old.generation)}, "--no-recreate")
            self.replace_rest(release, images, old.generation)
            print(f"{release} serves already: nothing to deploy")
            return
        generation = max(int(time.time()), old.generation + 1)
        self.entry = Release(
            release, images["web"], generation, started=time.time(), rollback=rollback,
            built=os.environ.get("BUILT") == "1",
        )  # fmt: skip
        self.records.releases.append(self.entry)
        environment = {"RELEASE": release, "GENERATION": str(generation)}
        handed_over = False
        try:
            self.engine.serve(old, "hold", str(generation))
            # What a rollback needs of these is there still: its static files are kept, the schema carries it.
            if not rollback:
                self.preflight(environment, images["proxy"])
                self.replace_database(images["db"], environment)
                self.release_step(environment)
            # Whoever goes back is in a hurry: the worker follows.
            new = self.start_beside(environment, ("web",) if rollback else ("web", "worker"))
            self.wait_until_healthy(new)
            with self.step("warm", "Warm pages over its own socket"):
                self.warm(new["web"], WARMED[:1] if rollback else WARMED)
            with self.step("hand-over", "Hand over"):
                docker("update", "--cpu-shares", FULL_SHARES, *(item.id for item in new.values()))
                # From here on until the name points there, an interruption may find either.
                handed_over = True
                self.engine.serve(new["web"], "take", new["web"].socket)
                self.taken = time.monotonic() - self.started
            with self.step("smoke", "Smoke test through the proxy"):
                if found := self.site.problem_lasting(release):
                    raise DeployError(f"the smoke test failed: {found}")
            if rollback:
                before.status = ROLLED_BACK
            else:
                before.status = SERVED
            self.end(SERVING)
        except (DeployError, InterruptedDeployError, OSError, ValueError) as error:
            self.undo(error, old, handed_over)
        self.finish(old, release, images, environment, before)

    def preflight(self, environment: dict[str, str], image: str) -> None:
        """Ask the new image whether it may be tried; nginx of the id `image`, if it is another one, too."""
        assert self.entry  # noqa: S101  (deploy() has made it)
        with self.step("preflight", "Preflight in the new image") as notes:
            done = self.one_off(environment, "python", "manage.py", "preflight", "--json", timeout=120)
            try:
                found = json.loads(last_line(done))
                self.entry.migrations, self.entry.contracts = found["migrations"], found["contracts"]
                notes.append(f"{len(self.entry.migrations)} migrations, {found['free_megabytes']} MB free")
            except (ValueError, KeyError, TypeError):
                raise DeployError("the preflight gave no answer", done) from None
            running = self.engine.containers("proxy")
            if image and running and running[0].image != image:
                proxy.check(self.engine, {**environment, "PROXY_RELEASE": environment["RELEASE"]})
        for name in self.entry.migrations:
            taking = ", takes away what the running code no longer uses" if name in self.entry.contracts else ""
            print(f"        {name}{taking}", flush=True)

    def one_off(self, environment: dict[str, str], *command: str, timeout: float = 3600) -> str:
        """Run the `release` service once, with a command of its own; what it wrote to standard output."""
        kept = ",".join(sorted(self.records.kept()))
        done = self.engine.compose(
            "run", "--rm", "--no-deps", "--no-TTY", "--env", "LOG_FORMAT=text", "--env", f"STATIC_KEPT={kept}",
            "release", *command, environment=environment, timeout=timeout,
        )  # fmt: skip
        if done.returncode:
            said = f"{done.stdout}\n{done.stderr}"
            raise DeployError(reason(done.stderr) or reason(done.stdout) or "it said nothing", said)
        return done.stdout

    def release_step(self, environment: dict[str, str]) -> None:
        """Migrate and publish the static files."""
        with self.step("release", "Release step (migrations, static files)"):
            self.one_off(environment)

    def replace_database(self, image: str, environment: dict[str, str]) -> None:
        """Another image of PostgreSQL comes only with DB=1: it stops and starts."""
        running = self.engine.containers("db")
        if not image or not running or running[0].image == image:
            return
        have, brought = self.engine.postgres(running[0].image), self.engine.postgres(image)
        if have != brought:
            how = f"`make db-upgrade RELEASE={environment['RELEASE']}` makes it {brought}"
            if brought < have:
                how = f"this release has {brought}, and there is no way back"
            if os.environ.get("DB") == "1":
                raise DeployError(f"PostgreSQL stays {have} in a deploy, leave out DB=1: {how}")
            say("·", f"PostgreSQL stays {have}: {how}")
            return
        if os.environ.get("DB") != "1":
            say("·", "PostgreSQL stays as it is (DB=1 replaces it: it restarts, for some seconds pages answer 503)")
            return
        with self.step("database", "PostgreSQL, replaced: it restarts"):
            # The backups' container is of the same image, and takes the last WAL of the one that stops.
            for service in ("db", "backup"):
                changed = {**environment, "DB_RELEASE": environment["RELEASE"]}
                self.up((service,), changed, "--wait", "--wait-timeout", "600")

    def up(self, services: tuple[str, ...], environment: dict[str, str], *options: str) -> None:
        """Start services as Compose would. Raises DeployError."""
        done = self.engine.compose("up", "--detach", "--no-deps", *options, *services, environment=environment)
        if done.returncode:
            raise DeployError(last_line(done.stderr) or f"Compose does not start {services[0]}", done.stderr)

    def start_beside(self, environment: dict[str, str], services: tuple[str, ...]) -> dict[str, Container]:
        """Start services of the new release beside the old ones; their containers by their service."""
        with self.step("start", f"Start the new {' and '.join(services)} beside the old"):
            new = self.engine.make_beside(services, environment)
            ids = [item.id for item in new.values()]
            # Readers come first while it loads.
            if not (self.entry and self.entry.rollback):
                docker("update", "--cpu-shares", LOW_SHARES, *ids)
            docker("start", *ids)
            return new

    def wait_until_healthy(self, new: dict[str, Container]) -> None:
        """Wait for the health checks, web's over its own socket. Raises DeployError with what the failed one said."""
        with self.step("healthy", "Wait until they are healthy"):
            deadline = time.monotonic() + self.patience
            waiting = dict(new)
            while waiting:
                for service, item in list(waiting.items()):
                    now = self.engine.inspect(item.id)
                    if now is None or not now.running or now.restarts:
                        logs = self.engine.logs(item)
                        raise DeployError(
                            f"{service} of the new release ended: {reason(logs) or 'it said nothing'}", logs
                        )
                    if now.health == "unhealthy" or time.monotonic() > deadline:
                        said = self.engine.last_check(item) or "its health check said nothing"
                        raise DeployError(
                            f"{service} of the new release is not healthy: {said}", self.engine.logs(item)
                        )
                    if now.health == "healthy":
                        del waiting[service]
                time.sleep(0.2)

    def warm(self, new: Container, addresses: tuple[str, ...]) -> None:
        """Have each process of the new release load its templates and connect before readers come."""
        try:
            self.engine.serve(new, "warm", *addresses)
        except DeployError as error:
            raise DeployError(f"a page does not work: {error}", self.engine.logs(new)) from None

    def undo(self, error: BaseException, old: Container, handed_over: bool) -> None:
        """Leave the old release as it was, or hand back to it; then end with what went wrong."""
        interrupted = isinstance(error, InterruptedDeployError)
        said = f"interrupted by {error}" if interrupted else str(error)
        with step("Hand back to the old release" if handed_over else "Remove what was started"):
            self.settle(hand_back=handed_over)
        assert self.entry  # noqa: S101  (deploy() has made it)
        self.end(FAILED, said)
        self.note_running()
        how = "has the traffic again" if handed_over else "goes on serving, untouched"
        if interrupted:
            print(f"stopped at the step {self.entry.step}: {old.release} {how}", file=sys.stderr)
            raise SystemExit(130)
        raise DeployError(f"{said} ({old.release} {how})")

    def finish(
        self, old: Container, release: str, images: dict[str, str], environment: dict[str, str], before: Release
    ) -> None:
        """Send the old release away, then replace what is left. The new one serves, whatever fails here."""
        try:
            if before.status == ROLLED_BACK:
                self.start_beside(environment, ("worker",))
            with self.step("drain", "Drain and stop the old ones") as notes:
                try:
                    self.engine.serve(old, "drain", DRAIN_SECONDS)
                except DeployError as error:
                    notes.append(str(error))
                self.engine.stop(
                    item
                    for service in ("web", "worker")
                    for item in self.engine.containers(service)
                    if str(item.generation) != environment["GENERATION"]
                )
            self.replace_rest(release, images, int(environment["GENERATION"]))
            self.forget_images()
        except InterruptedDeployError as error:
            print(f"stopped by {error}: {release} serves; `make deploy` again removes what is left", file=sys.stderr)
            raise SystemExit(130) from None
        except DeployError as error:
            raise DeployError(f"{release} serves, but {error}") from None
        assert self.entry  # noqa: S101  (deploy() has made it)
        self.entry.step = ""
        self.end(SERVING)
        verb = "rolled back to" if before.status == ROLLED_BACK else "deployed"
        back = "" if before.status == ROLLED_BACK else f"; `make rollback` returns to {before.release}"
        took = f"in {time.monotonic() - self.started:.1f} s, it has served since {self.taken:.1f} s"
        print(f"{paint('1', f'{verb} {release}')} {took}{back}", flush=True)

    def replace_rest(self, release: str, images: dict[str, str], generation: int) -> None:
        """The proxy, when the release has another one."""
        running = self.engine.containers("proxy")
        if not images["proxy"] or not running or running[0].image == images["proxy"]:
            return
        old = running[0]
        if proxy.same_program(old.image, images["proxy"]):
            archive = proxy.configuration(images["proxy"])
            if proxy.has(old, archive):
                return
            with self.step("proxy", "nginx reloads, with another configuration"):
                proxy.reload(self.engine, old, archive)
            return
        environment = {"RELEASE": release, "GENERATION": str(generation), "PROXY_RELEASE": release}
        with self.step("proxy", "nginx, replaced by another image") as notes:
            gap = proxy.replace(self.engine, old, environment, self.site)
            notes.append(f"nobody listened for {gap:.2f} s")

    def forget_images(self) -> None:
        """Remove the images that earlier deploys built and that nobody can go back to any more."""
        names = self.records.kept() | {item.release for item in self.records.releases[-3:]}
        for item in self.records.releases:
            if item.built and item.release not in names:
                for name in ("web", "proxy", "db"):
                    run("docker", "image", "rm", f"slipway/{name}:{item.release}")
                item.built = False

    # --- back

    def rollback(self) -> None:
        """Return to the release before. Raises DeployError when there is none, or the schema has moved beyond it."""
        current = self.begin()
        target = self.records.previous()
        if target is None:
            raise DeployError(f"there is no release before {current.release} to return to: `make releases` lists them")
        if beyond := self.records.beyond(target):
            raise DeployError(f"{target.release} cannot run on this schema: {beyond}; deploy a release that mends it")
        if self.engine.image(target.image) != target.image:
            raise DeployError(f"the image of {target.release} is gone: `make deploy RELEASE=` with that release")
        if self.engine.image(f"slipway/web:{target.release}") != target.image:
            docker("tag", target.image, f"slipway/web:{target.release}")
        self.replace(target.release, current, rollback=True)


def records_path(project: str) -> Path:
    """Where the records of a project are."""
    return Path(".secrets") / project / "releases.json"
