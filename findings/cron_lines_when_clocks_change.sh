#!/usr/bin/env bash
# cronsim, croniter and APScheduler run the same line at different times when clocks change, one of them twice at once.
#
# Three libraries read the same five fields with the same time zone. On ordinary days they agree. On the days when
# Europe/Berlin changes its clocks (29 March and 25 October 2026) they do not:
#   - A daily job at 02:30 in October: cronsim runs it once, croniter and APScheduler twice (at 00:30Z and 01:30Z).
#   - `*/20 2 * * *` in March, when the hour from 2 to 3 is left out: cronsim skips the day, croniter and APScheduler
#     run once, at 01:00Z, instead of three times. But a single `30 2 * * *` is made up for by all three, at 01:00Z by two
#     of them and at 01:30Z by the third. So whether a missed run is made up for depends on the form of the line.
#   - `30 2-3 * * *` in March: APScheduler returns the instant 01:30Z twice in a row, once as 02:30, a time that does not
#     exist that day, and once as 03:30. A scheduler that goes by instants loses one; one that counts runs has two at once.
# A scheduler that changes its library changes when the jobs of two nights a year run. Test both nights.
#
# Seen (cronsim 2.8, croniter 7.0.0, APScheduler 3.11.3, tzdata 2026.6), times in UTC:
#     30 2 * * * in October:    cronsim 25T00:30 26T01:30   croniter 25T00:30 25T01:30   apscheduler 25T00:30 25T01:30
#     30 2 * * * in March:      cronsim 29T01:00 30T00:30   croniter 29T01:00 30T00:30   apscheduler 29T01:30 30T00:30
#     */20 2 * * * in March:    cronsim 30T00:00 30T00:20   croniter 29T01:00 30T00:00   apscheduler 29T01:00 30T00:00
#     30 2-3 * * * in March:    cronsim 29T01:00 29T01:30   croniter 29T01:00 29T01:30   apscheduler 29T01:30 29T01:30
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cronsim==2.8 croniter==7.0.0 APScheduler==3.11.3 tzdata==2026.6
cat > "$work/program.py" <<'PY'
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from cronsim import CronSim

BERLIN = ZoneInfo("Europe/Berlin")


def with_cronsim(line, start):
    times = CronSim(line, start)
    return [next(times) for _ in range(2)]


def with_croniter(line, start):
    times = croniter(line, start)
    return [times.get_next(datetime) for _ in range(2)]


def with_apscheduler(line, start):
    trigger = CronTrigger.from_crontab(line, timezone=BERLIN)
    first = trigger.get_next_fire_time(None, start)
    return [first, trigger.get_next_fire_time(first, first)]


def show(line, month, start):
    columns = []
    for name, times in (("cronsim", with_cronsim), ("croniter", with_croniter), ("apscheduler", with_apscheduler)):
        instants = [each.astimezone(timezone.utc).strftime("%dT%H:%M") for each in times(line, start)]
        columns.append(" ".join([name, *instants]))
    print(f"{line} in {month}:".ljust(26) + "   ".join(columns))


MARCH = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
show("30 2 * * *", "October", datetime(2026, 10, 24, 12, tzinfo=BERLIN))
show("30 2 * * *", "March", MARCH)
show("*/20 2 * * *", "March", MARCH)
show("30 2-3 * * *", "March", MARCH)
PY
"$work/venv/bin/python" "$work/program.py" | tee "$work/seen"
cat > "$work/expected" <<'END'
30 2 * * * in October:    cronsim 25T00:30 26T01:30   croniter 25T00:30 25T01:30   apscheduler 25T00:30 25T01:30
30 2 * * * in March:      cronsim 29T01:00 30T00:30   croniter 29T01:00 30T00:30   apscheduler 29T01:30 30T00:30
*/20 2 * * * in March:    cronsim 30T00:00 30T00:20   croniter 29T01:00 30T00:00   apscheduler 29T01:00 30T00:00
30 2-3 * * * in March:    cronsim 29T01:00 29T01:30   croniter 29T01:00 29T01:30   apscheduler 29T01:30 29T01:30
END
diff "$work/expected" "$work/seen"
