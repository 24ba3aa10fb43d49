#!/usr/bin/python3
"""Runs the test suites and counts what they found.

    tests/run.py [--build FOLDER] [--suite unit] [--suite integration] [--suite deploy] [--filter WORD]

unit         every FOLDER/tests/test_*; the tests in them are counted, a program that dies in the
             middle of a test has failed that test
integration  pytest over tests/integration, against the programs in FOLDER, in parts side by side
deploy       those of its files that judge what an administrator installs (test_deploy_*): images, packages,
             units, other servers' configurations; in parts, too, when the others are done
The last line is `N passed, N failed, N skipped` over all suites; the exit code is 1 if any failed.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
MARK = re.compile(r"^\[\s*(RUN|OK|SKIPPED)\s*\] ?(.*)$")


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count_cmocka(text, code):
    """Tests that ran and neither passed nor were skipped have failed, a crash included."""
    seen = {"RUN": 0, "OK": 0, "SKIPPED": 0}
    for line in text.splitlines():
        match = MARK.match(line.strip())
        if match and not match.group(2).endswith("test(s)."):
            seen[match.group(1)] += 1
    # A summary after a failed run lists skipped tests a second time.
    skipped = min(seen["SKIPPED"], seen["RUN"] - seen["OK"])
    count = Count(seen["OK"], seen["RUN"] - seen["OK"] - skipped, skipped)
    if code != 0 and count.failed == 0:
        count.failed = 1
    if code == 0 and seen["RUN"] == 0:
        count.failed = 1
    return count


def run_program(path, options):
    """(exit code, output) of one program of unit tests."""
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT")
    command = shlex.split(options.wrap) + [str(path)]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=options.seconds,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        text = (error.stdout or b"").decode("utf-8", "replace")
        return -1, f"{text}\nnot done after {options.seconds} s\n"


def run_unit(build, options):
    total = Count()
    programs = sorted(path for path in (build / "tests").glob("test_*")
                      if path.is_file() and os.access(path, os.X_OK))
    if not programs:
        print(f"no unit tests in {build}/tests: run `make unit`")
        total.failed = 1
    programs = [path for path in programs if not options.filter or options.filter in path.name]
    programs = [path for path in programs if path.name not in options.without]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = pool.map(lambda path: run_program(path, options), programs)
        for path, (code, text) in zip(programs, results):
            count = count_cmocka(text, code)
            total.add(count)
            if count.failed:
                print(f"--- {path.name}: exit {code}\n{text.rstrip()}")
            if count.failed or options.verbose:
                print(f"{path.name}: {count}", flush=True)
    return total


def parts_of(options, suite):
    """The files that are run side by side: most of the time tests wait, for Docker engines above all.
    Each part looks for secrets in its own logs."""
    files = sorted(str(path.relative_to(ROOT))
                   for path in (ROOT / "tests/integration").glob("test_*.py"))

    def taken(*beginnings):
        found = [name for name in files
                 if name.rpartition("/")[2].startswith(tuple(f"test_{word}" for word in beginnings))]
        files[:] = [name for name in files if name not in found]
        return found

    containers = taken("deploy_images", "deploy_compose", "deploy_installer_compose")
    deploy = taken("deploy_")
    if options.filter:
        return [deploy + containers if suite == "deploy" else files]
    if suite == "deploy":
        return [deploy, containers]
    logs = taken("logs.py")
    faults = taken("docker_faults")
    hostile = taken("docker_attacks", "docker_filter_", "filter_", "audit_")
    docker = taken("docker_")
    return [part + logs for part in (files, docker, faults, hostile)]


def count_pytest(report, code):
    total = Count()
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            tests, failures, errors, skipped = (
                int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped"))
            bad = failures + errors
            total.add(Count(max(0, tests - bad - skipped), bad, skipped))
    # 5 is "no test was selected"; all else without a failed test is pytest's own trouble.
    if code not in (0, 1, 5) and total.failed == 0:
        total.failed = 1
    return total


def run_programs(build, options, suite):
    total = Count()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-tests-"))
    environment = dict(os.environ, HARP_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1")
    if options.wrap:
        environment["HARP_WRAP"] = options.wrap
    started = []
    for number, files in enumerate(parts_of(options, suite)):
        command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                   f"--junit-xml={folder}/junit-{number}.xml", f"--basetemp={folder}/work-{number}",
                   *(["-k", options.filter] if options.filter else []), *files]
        # The output of the first part is seen as it comes, that of the others when they are done.
        output = None if number == 0 else open(folder / f"output-{number}", "wb")
        started.append((output, subprocess.Popen(
            command, cwd=ROOT, env=dict(environment, HARP_PART=str(number)), stdout=output,
            stderr=subprocess.STDOUT if output else None)))
    for number, (output, process) in enumerate(started):
        code = process.wait()
        if output:
            output.close()
            sys.stdout.write((folder / f"output-{number}").read_text(errors="replace"))
            sys.stdout.flush()
        total.add(count_pytest(folder / f"junit-{number}.xml", code))
    if total.failed:
        print(f"logs of all programs are kept in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return total


SUITES = ("unit", "integration", "deploy")


def main():
    parser = argparse.ArgumentParser(description="Runs the test suites and counts the results.")
    parser.add_argument("--build", default="build", help="folder of the programs (default: build)")
    parser.add_argument("--suite", action="append", choices=SUITES,
                        help="may be repeated (default: all)")
    parser.add_argument("--filter", help="only tests (unit: programs) with this word in the name")
    parser.add_argument("--without", action="append", default=[], help="a program of unit tests to leave out")
    parser.add_argument("--wrap", default="", help="a command in front of unit tests and of the programs (valgrind)")
    parser.add_argument("--seconds", type=float, default=120, help="limit for a unit test program")
    parser.add_argument("--counts", help="also write `N passed, ...` to this file")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    build = (ROOT / options.build).resolve()
    total, lines = Count(), []
    suites = options.suite or SUITES
    for name in (name for name in SUITES if name in suites):
        began = time.monotonic()
        count = run_unit(build, options) if name == "unit" else run_programs(build, options, name)
        total.add(count)
        lines.append(f"{name}: {count} ({time.monotonic() - began:.1f} s)")
        print(lines[-1], flush=True)
    if len(lines) > 1:
        print("\n".join(["", *lines]))
    if options.counts:
        pathlib.Path(options.counts).write_text(f"{total}\n")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
