"""A person's way: see a job appear, watch it, read why another failed, and kill the first."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import cloud
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import expect

from tests.current_client import current_client

if TYPE_CHECKING:
    from cloud._client.client import Client
    from playwright.sync_api import Page


def _wait() -> None:
    print("has begun", flush=True)
    time.sleep(600)


def _fail() -> None:
    import json

    json.loads("{")


def test_from_a_submit_to_a_kill(page: Page, client: Client) -> None:
    """What is submitted in Python appears by itself; so do output and the end; nothing reloads."""
    page.evaluate("window.kept = true")
    running = int(client.call(_wait, _label="journey"))
    failed = int(client.call(_fail, _label="journey"))

    row = page.locator(f"#b{running}")
    expect(row).to_contain_text("processing", timeout=20_000)
    expect(page.locator(f"#b{failed}")).to_contain_text("error", timeout=20_000)
    assert page.evaluate("window.kept")

    page.get_by_role("link", name=str(failed), exact=True).click()
    own = page.locator("details", has_text="in _fail")
    assert own.get_attribute("open") is not None
    library = page.locator("details", has_text="in raw_decode").last
    assert library.get_attribute("open") is None
    library.locator("summary").click()
    expect(library.locator("pre")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the exception").click()
    assert "JSONDecodeError" in download.value.path().read_text(encoding="utf-8")

    page.goto(f"{page.url.removesuffix(str(failed))}{running}")
    expect(page.get_by_text("has begun")).to_be_visible(timeout=20_000)
    options = page.locator("details", has_text="options")
    options.locator("summary").click()
    with page.expect_response(lambda reply: "stamp=" in reply.url and reply.status == 200):
        pass
    page.wait_for_function("!document.querySelector('.htmx-request, .htmx-swapping')")
    assert options.get_attribute("open") is not None
    page.get_by_role("button", name="Kill").click()
    expect(page.locator("dd .status")).to_have_text("killed", timeout=20_000)
    expect(page.get_by_role("button", name="Delete")).to_be_visible()


def _area(width: float, height: float = 1.0) -> float:
    return width * height


def test_a_published_function_is_called_by_its_form(page: Page, client: Client) -> None:
    """What does not fit is said above the form, which keeps the fields; the result is shown."""
    with current_client(client):
        cloud.rest.publish(_area, "area")
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="area", exact=True).click()
    page.get_by_label("width").fill("2.5")
    page.get_by_label("height").fill("much")
    page.get_by_role("button", name="Call").click()
    expect(page.get_by_role("alert")).to_have_text("The argument 'height' must be a number.")

    assert page.get_by_label("width").input_value() == "2.5"
    page.get_by_label("height").fill("4")
    page.get_by_role("button", name="Call").click()

    expect(page.locator("pre", has_text="10.0")).to_be_visible(timeout=20_000)
    expect(page.locator("dd .status")).to_have_text("done")


def test_chosen_rows_stay_chosen_while_the_list_changes(page: Page, client: Client) -> None:
    """A new job does not uncheck a box; the buttons act on the chosen rows only."""
    chosen, other = (list(client.map(abs, range(3), _label="bulk")) for _ in range(2))
    client.join([*chosen, *other], 60)
    box = page.get_by_role("checkbox", name=f"Choose jobs {chosen[0]}")
    expect(box).to_be_visible(timeout=20_000)
    box.check()
    later = int(client.call(abs, 1, _label="bulk"))
    expect(page.locator(f"#b{later}")).to_be_visible(timeout=20_000)
    expect(box).to_be_checked()

    page.get_by_role("button", name="Delete").click()

    expect(page.locator(f"#b{chosen[0]}")).to_have_count(0)
    expect(page.locator(f"#b{other[0]}")).to_be_visible()


def test_the_keyboard_is_enough(page: Page, client: Client) -> None:
    """Tab and Enter reach the content, a job and the buttons."""
    jid = int(client.call(abs, 1, _label="keys"))
    page.goto(f"{page.url}?label=keys")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    box = page.get_by_role("checkbox", name=f"Choose job {jid}")
    for _ in range(15):
        page.keyboard.press("Tab")
        if box.evaluate("box => box === document.activeElement"):
            break
    expect(box).to_be_focused()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name=f"Job {jid}")).to_be_visible()


def test_a_session_that_ends_leads_to_the_sign_in_page(page: Page, client: Client) -> None:
    """A dashboard that is open says that it was signed out, once a job changes."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Sign out everywhere").click()
    client.call(abs, 1)

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=20_000)


def _work(seconds: float) -> int:
    end = time.monotonic() + seconds
    kept = bytearray(80_000_000)
    while time.monotonic() < end:
        sum(range(10_000))
    return len(kept)


def test_what_a_job_uses_is_drawn_while_it_runs(page: Page, client: Client) -> None:
    """The chart grows by itself, keeps its canvas, and stays when the job has ended."""
    jid = int(client.call(_work, 12, _label="chart"))
    page.goto(f"{page.url}/{jid}")
    chart = page.locator("#usage-chart")
    expect(chart.locator("canvas")).to_be_visible(timeout=20_000)
    chart.locator("canvas").evaluate("canvas => { canvas.kept = true }")
    before = chart.get_attribute("data-columns")

    expect(chart).not_to_have_attribute("data-columns", before or "", timeout=20_000)

    assert chart.locator("canvas").count() == 1
    assert chart.locator("canvas").evaluate("canvas => canvas.kept")
    painted = """canvas => {
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return data.some((value, at) => at % 4 === 3 && value > 0);
    }"""
    assert chart.locator("canvas").evaluate(painted)
    expect(page.locator("dd .status")).to_have_text("done", timeout=30_000)
    page.reload()
    expect(chart.locator("canvas")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("cell", name="MB").last).to_be_visible()


def _inner(n: int) -> int:
    return sum(n * each for each in range(n))


def _outer() -> int:
    return sum(_inner(each) for each in range(500))


def test_a_profile_is_read_from_its_graph(page: Page, client: Client) -> None:
    """A click on a function begins the graph there; another order sorts the table."""
    jid = int(client.call(_outer, _profile=True))
    client.join(jid, 60)
    page.goto(f"{page.url}/{jid}")
    page.get_by_role("link", name="Show it as a table").click()
    whole = page.locator(".flame rect").count()

    page.get_by_role("link", name="Own time").click()
    expect(page.locator("th[aria-sort]")).to_have_text("Own time")
    page.get_by_role("link", name="_inner (").click()

    expect(page.get_by_text("From _inner")).to_be_visible()
    assert 1 < page.locator(".flame rect").count() < whole


def test_files_are_dropped_and_looked_at(page: Page) -> None:
    """Several at once, with a message for what is refused; a script in a file stays text."""
    page.goto(page.url.replace("/jobs", "/bucket"))
    files = "[['a.csv', 'x,y\\n1,<script>alert(1)</script>\\n'], ['b.txt', 'hello']]"
    dropped = page.evaluate_handle(f"""() => {{
        const moved = new DataTransfer();
        for (const [name, text] of {files}) moved.items.add(new File([text], name));
        return moved;
    }}""")
    page.dispatch_event("form.drop", "dragover", {"dataTransfer": dropped})
    expect(page.locator("form.drop.over")).to_be_visible()
    page.dispatch_event("form.drop", "drop", {"dataTransfer": dropped})

    expect(page.get_by_role("link", name="b.txt", exact=True)).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Preview a.csv").click()
    expect(page.get_by_role("cell", name="<script>alert(1)</script>")).to_be_visible()
    page.get_by_role("button", name="Make it public").click()
    expect(page.get_by_text("everybody, at")).to_be_visible()


def test_the_first_rows_of_a_parquet_file_are_shown(page: Page, client: Client) -> None:
    """With their types, compressed as pandas writes them; text in them stays text."""
    table = pa.table(
        {
            "number": [1, 2, 2**60],
            "text": ["<script>alert(1)</script>", None, "c"],
            "list": [[1], [], [2, 3]],
            "at": [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3)],
        }
    )
    written = io.BytesIO()
    pq.write_table(table, written)
    with current_client(client):
        cloud.bucket.putf(written.getvalue(), "table.parquet")
        cloud.bucket.putf(b"PAR1 and nothing else", "broken.parquet")
    start = page.url.replace("/jobs", "/bucket/preview?key=")

    page.goto(f"{start}table.parquet")
    expect(page.get_by_text("3 rows, of which the first 3 are shown.")).to_be_visible()
    cells = page.locator("[data-parquet] td").all_inner_texts()
    page.goto(f"{start}broken.parquet")
    expect(page.get_by_text("It cannot be shown here: ")).to_be_visible()

    assert cells[:4] == ["1", "<script>alert(1)</script>", "[1]", "2026-11-01T00:00:00.000Z"]
    assert cells[8] == str(2**60)


def test_a_failed_job_is_cloned(page: Page, client: Client) -> None:
    """The new job is another one with other options, and says what it costs."""
    failed = int(client.call(_area, 2.5, "x", _label="first"))
    client.join(failed, 60, ignore_errors=True)
    page.goto(f"{page.url}/{failed}")
    page.get_by_role("link", name="Clone with changes").click()
    page.get_by_label("Label").fill("second")
    page.get_by_label("Profile it").check()
    page.get_by_role("button", name="Run it").click()

    expect(page.get_by_text("Show it as a table and a flame graph")).to_be_visible(timeout=20_000)
    expect(page.locator("dd", has_text="second").first).to_be_visible()
    expect(page.locator("dt", has_text="Cost")).to_be_visible()
    assert not page.url.endswith(f"/{failed}")
