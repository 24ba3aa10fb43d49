#!/usr/bin/python3
"""The benchmark: HAProxy, nginx, the hub, and the hub with its tunnel, in front of the same nginx.

    run.py [--quick] [--only haproxy,nginx,hub,tunnel] [--scenarios small-32,...] [--rounds N]

procs.py      processes and /proc
subjects.py   the origin, HAProxy and nginx; harp.py: hub and tunnel client
identity.py   hubs that ask Nextcloud (standin.py), and hubs with many ExApps
engines.py    ten Docker engines behind a hub; engines_report.py: its tables
filter.py     the socket filter in front of one; filter_report.py: its tables
load.py       wrk, curl, wsload, burst, fan; scenarios.py: what is measured, round by round
report.py     tables, targets, RESULTS.md; identity_report.py: those of identity.py

A full run writes tests/bench/RESULTS.md, a partial or quick one build/bench/RESULTS.md. Either writes
all single values to build/bench/results.json.
Exit status: 0 everything worked, whatever the ratios are; 1 something did not work (a wrong status,
a checksum, lost connections, a program that ended); 2 it could not begin.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import engines
import engines_report
import filter as socket_filter
import harp
import identity
import identity_report
import load
import procs
import report
import scenarios
import subjects

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = ("haproxy", "nginx", "hub", "tunnel")
OURS = ("harp-hub", "harp-socket-filter", "harp-tunnel-client")
BUDGET, QUICK_BUDGET = 660, 120  # seconds; what would not fit is left out, and that is told
SPACE = 3 * load.BIG  # the file, one upload, and room


class CannotBegin(Exception):
    pass


def say(text=""):
    print(text, flush=True)


def arguments():
    def names_of(allowed):
        def check(text):
            given = tuple(text.split(","))
            wrong = [name for name in given if name not in allowed]
            if wrong:
                raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(allowed)}")
            return given
        return check

    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--quick", action="store_true", help="one round of 1 s phases, below 120 s")
    p.add_argument("--only", type=names_of(NAMES), default=NAMES, metavar="NAMES",
                   help=f"which of {','.join(NAMES)}")
    p.add_argument("--scenarios", type=names_of(scenarios.KEYS), default=scenarios.KEYS,
                   metavar="KEYS", help=f"which of {','.join(scenarios.KEYS)}")
    p.add_argument("--rounds", type=int, help="default 3, quick 1")
    p.add_argument("--seconds", type=float, help="length of a phase; default 3, quick 1")
    p.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR",
                   help="where harp-hub and harp-tunnel-client are; default build")
    p.add_argument("--results", metavar="FILE", help="where to write the report")
    args = p.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.seconds = args.seconds or (1.0 if args.quick else 3.0)
    if args.rounds < 1 or not 0.5 <= args.seconds <= 30:
        p.error("--rounds must be at least 1 and --seconds between 0.5 and 30")
    whole = args.only == NAMES and args.scenarios == scenarios.KEYS and not args.quick
    args.results = args.results or os.path.join(
        HERE if whole else os.path.join(ROOT, "build", "bench"), "RESULTS.md")
    return args


def find_programs(args):
    """Paths of everything that is run; complains about all that is missing at once."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    found = {name: shutil.which(name, path=path) for name in ("nginx", "haproxy", "wrk", "curl")}
    missing = [f"{name} (a package of that name)" for name, where in found.items() if not where]
    if {"hub", "tunnel"} & set(args.only):
        for name in OURS if "tunnel" in args.only else OURS[:2]:
            found[name] = os.path.join(args.build, name)
            if not os.access(found[name], os.X_OK):
                missing.append(f"{found[name]} (run make, or use --only haproxy,nginx)")
    if missing:
        raise CannotBegin("not found: " + "; ".join(missing))
    return found


def build_own(name, *more):
    """build/bench/NAME, compiled when it is not there or older than its source."""
    program = os.path.join(ROOT, "build", "bench", name)
    sources = [os.path.join(HERE, source) for source in (f"{name}.c", *more)]
    if not os.path.exists(program) or any(
            os.path.getmtime(s) > os.path.getmtime(program) for s in sources):
        os.makedirs(os.path.dirname(program), exist_ok=True)
        argv = [os.environ.get("CC", "gcc"), "-O2", "-o", program, sources[0], "-lcrypto"]
        try:
            subprocess.run(argv, check=True)
        except (OSError, subprocess.CalledProcessError) as e:
            raise CannotBegin(f"{name} was not built: {e}") from None
    return program


def work_folder():
    """In memory if there is room, so that no disk is measured."""
    for where in ("/dev/shm", None):
        if where is None or (os.access(where, os.W_OK) and shutil.disk_usage(where).free > SPACE):
            return tempfile.mkdtemp(prefix="harp-bench-", dir=where)
    raise CannotBegin("no folder for temporary files")


def make_subjects(args, children, work, origin, programs):
    made = []
    for name in args.only:
        if name == "haproxy":
            made.append(subjects.HaproxySubject(children, work, origin, programs["haproxy"]))
        elif name == "nginx":
            made.append(subjects.NginxSubject(children, work, origin, programs["nginx"]))
        elif name == "hub":
            made.append(harp.DirectSubject(children, work, origin, programs))
        else:
            made.append(harp.TunnelSubject(children, work, origin, programs))
    return made


def measure(args, programs, own, children, work):
    budget = QUICK_BUDGET if args.quick else BUDGET
    began = time.monotonic()
    big_file = f"{work}/big"
    big_sum = load.make_big_file(big_file)
    origin = subjects.Origin(children, work, own["wsload"], programs["nginx"], big_file)
    origin.start()
    tools = load.Load(children, work, own, big_file, big_sum)
    bench = scenarios.Bench(tools, origin, make_subjects(args, children, work, origin, programs),
                            {**identity.groups(args.only, args.scenarios, children, work, origin,
                                               programs),
                             **engines.groups(args.only, args.scenarios, children, work, programs),
                             **socket_filter.groups(args.only, args.scenarios, children, work,
                                                    programs)},
                            args.scenarios, args.seconds, say)
    longest = 0.0
    for number in range(args.rounds):
        round_began = time.monotonic()
        if number and round_began - began + longest > budget:
            bench.data.notes.append(f"only {number} of {args.rounds} rounds fitted into {budget} s")
            break
        say(f"round {number + 1} of {args.rounds}")
        bench.round()
        longest = max(longest, time.monotonic() - round_began)
    bench.stop_all()
    bench.data.seconds = time.monotonic() - began
    return bench.data


def main():
    args = arguments()
    children = procs.Children()
    work = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        programs = find_programs(args)
        own = {"wsload": build_own("wsload", "wsframe.h"), "burst": build_own("burst"),
               "fan": build_own("fan")}
        if procs.raise_file_limit() < 3 * subjects.CONNECTIONS // 2:
            say("warning: few open files are allowed (ulimit -n); the idle WebSockets may fail")
        work = work_folder()
        data = measure(args, programs, own, children, work)
    except (CannotBegin, procs.Broken) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        children.stop_all()
        if work:
            shutil.rmtree(work, ignore_errors=True)
    data.notes += children.notes
    command = " ".join(["tests/bench/run.py", *map(os.path.basename, sys.argv[1:])])
    text = report.compose(data, programs, command)
    os.makedirs(os.path.dirname(os.path.abspath(args.results)), exist_ok=True)
    with open(args.results, "w") as f:
        f.write(text)
    single = os.path.join(ROOT, "build", "bench", "results.json")
    with open(single, "w") as f:
        f.write(report.as_json(data, command))
    say("\n" + "\n\n".join(filter(None, (
        report.scenario_tables(data), identity_report.tables(data), engines_report.tables(data),
        report.memory_table(data), report.target_table(data)))))
    say(f"\n{data.seconds:.0f} s; written to {os.path.relpath(args.results)} and "
        f"{os.path.relpath(single)}")
    for text in data.broken:
        say(f"BROKEN: {text}")
    return 1 if data.broken else 0


if __name__ == "__main__":
    sys.exit(main())
