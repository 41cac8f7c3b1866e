"""The shop page in a real browser, over a model whose answers can be worked out in one's head."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer, live_server, save_half_plus, spec

import tensorflow as tf  # isort: skip

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = sync_api.expect

NUMBER = 12
LAMP = 5


def save_shop(folder: Path) -> Path:
    """Items i0 … i11: the earlier the better liked; an event of item n speaks for n + 1, a search for lamps for i5."""
    texts = [spec(tf.string, name, [None, None]) for name in ("item_id", "behavior", "query", "device")]
    history = [*texts, spec(tf.int64, "timestamp", [None, None])]
    question = [
        spec(tf.string, "target_behavior"),
        spec(tf.string, "exclude", [None, None]),
        spec(tf.string, "category"),
    ]
    ids = tf.constant([f"i{n}" for n in range(NUMBER)])
    # A title is nobody's HTML.
    titles = tf.constant([f"<b>Item {n}</b>" for n in range(NUMBER)])
    liked = tf.range(NUMBER, 0, -1, tf.float32) / 100
    k = spec(tf.int32, "k")

    def contributions(item_id: Any, query: Any) -> Any:
        following = tf.roll(item_id[..., tf.newaxis] == ids, 1, axis=-1)
        lamp = (query == "lamp")[..., tf.newaxis] & (tf.range(NUMBER) == LAMP)
        newest = tf.range(1, 1 + tf.shape(item_id)[1])[:, tf.newaxis]
        return tf.cast((following | lamp), tf.float32) * tf.cast(newest, tf.float32)

    def best(scores: Any, k: Any) -> dict[str, Any]:
        top, at = tf.math.top_k(scores, tf.minimum(tf.reduce_max(k), NUMBER))
        there = top > float("-inf")
        named = {
            "item_id": tf.where(there, tf.gather(ids, at), ""),
            "title": tf.where(there, tf.gather(titles, at), ""),
        }
        return named | {"score": tf.where(there, top, 0.0), "at": at}

    def recommend(item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, *asked: Any) -> Any:
        _, exclude, _, k = asked
        scores = liked + tf.reduce_sum(contributions(item_id, query), axis=1)
        out = tf.reduce_any(exclude[..., tf.newaxis] == ids, axis=1)
        return best(tf.where(out, float("-inf"), scores), k)

    def explain(item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Any:
        each = contributions(item_id, query)
        listed = best(liked + tf.reduce_sum(each, axis=1), k)
        chosen = tf.gather(tf.transpose(each, [0, 2, 1]), listed["at"], batch_dims=1)
        return listed | {"contribution": chosen}

    def known(item_id: Any) -> Any:
        return {"known": tf.reduce_any(item_id[:, tf.newaxis] == ids, axis=1), "vector": tf.zeros_like(item_id)}

    functions = {
        "recommend": tf.function(recommend, input_signature=[*history, *question, k]),
        "explain": tf.function(explain, input_signature=[*history, k]),
        "embed_candidate": tf.function(known, input_signature=[spec(tf.string, "item_id")]),
    }
    module = tf.Module()
    module.kept = list(functions.values())
    tf.saved_model.save(module, str(folder), signatures=functions)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("shop")
    save_shop(folder / "shop" / "1")
    save_half_plus(folder / "halves" / "1", 1.0)
    with live_server({"halves": folder / "halves", "shop": folder / "shop"}, demo=True) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on the PATH")
    with sync_api.sync_playwright() as playwright:
        # Chromium does not start as root with its sandbox; nothing but our own page is loaded.
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, server: LiveServer) -> Iterator[Any]:
    """The shop page of a new user; a test fails when the page's own code does."""
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    expect(page.locator("#items li")).to_have_count(10)
    yield page
    context.close()
    assert not errors


def items(page: Any) -> list[str]:
    return [row.get_attribute("data-item") for row in page.locator("#items li").all()]


def act(page: Any, item: str, behavior: str = "click") -> None:
    page.locator(f'[data-item="{item}"] [data-behavior="{behavior}"]').click()


def first_is(page: Any, item: str) -> None:
    expect(page.locator("#items li").first).to_have_attribute("data-item", item)


def why(page: Any, item: str) -> Any:
    return page.locator(f'[data-item="{item}"] .why')


def test_a_new_user_is_shown_what_is_liked(page: Any) -> None:
    assert items(page) == [f"i{n}" for n in range(10)]
    expect(page.locator("#nothing")).to_be_visible()
    expect(why(page, "i0")).to_have_text("What new users like")
    expect(page.locator("#answered")).to_have_text(re.compile(r"10 items in \d+\.\d ms"))


def test_a_click_changes_the_list_and_is_named_as_the_reason(page: Any) -> None:
    act(page, "i7")
    first_is(page, "i8")
    assert "i7" not in items(page)
    expect(page.locator("#events li")).to_have_text(["clicked <b>Item 7</b>×"])
    expect(why(page, "i8").locator("a")).to_have_text(["clicked <b>Item 7</b> 100 %"])
    expect(why(page, "i0")).to_have_text(re.compile("^No event speaks for it"))
    expect(page.locator('[data-item="i8"] .moved')).to_have_text("up 8")
    expect(page.locator('[data-item="i10"] .moved')).to_have_text("new")
    why(page, "i8").locator("a").hover()
    expect(page.locator("#event-0")).to_have_class(re.compile("lit"))


def test_reasons_share_what_speaks_for_an_item(page: Any) -> None:
    act(page, "i4", "cart")
    first_is(page, "i5")
    page.fill("#words", "lamp")
    page.press("#words", "Enter")
    # The second event counts twice as much as the first.
    expect(why(page, "i5").locator("a")).to_have_text(
        ["searched for “lamp” 67 %", "put into the cart <b>Item 4</b> 33 %"]
    )


def test_what_is_in_the_history_is_left_out_only_if_wanted(page: Any) -> None:
    act(page, "i0")
    first_is(page, "i1")
    assert "i0" not in items(page)
    page.uncheck("#leave-out")
    expect(page.locator("#items li").nth(1)).to_have_attribute("data-item", "i0")


def test_an_event_that_is_taken_back_leaves_no_trace(page: Any) -> None:
    act(page, "i7")
    first_is(page, "i8")
    page.get_by_label("Remove: clicked").click()
    first_is(page, "i0")
    expect(page.locator("#events li")).to_have_count(0)


def test_items_are_typed_by_id_or_title_and_unknown_ones_are_refused(page: Any) -> None:
    page.select_option("#behavior", "purchase")
    page.fill("#item", "i11")
    page.click("#add button")
    first_is(page, "i0")
    expect(page.locator("#events li")).to_have_text(["bought i11×"])
    page.fill("#item", "<b>Item 2</b>")
    page.click("#add button")
    first_is(page, "i3")
    page.fill("#item", "nonsense")
    page.click("#add button")
    expect(page.locator("#item:invalid")).to_have_count(1)
    assert page.eval_on_selector("#item", "item => item.validationMessage") == "There is no item “nonsense”."
    expect(page.locator("#events li")).to_have_count(2)


def test_an_example_is_a_history_and_a_new_user_has_none(page: Any) -> None:
    page.click("#example")
    expect(page.locator("#events li")).to_have_count(4)
    expect(page.locator("#items .why a").first).to_be_visible()
    page.click("#clear")
    expect(page.locator("#events li")).to_have_count(0)
    first_is(page, "i0")


def test_titles_are_text_and_never_markup(page: Any) -> None:
    expect(page.locator("#items .name").first).to_have_text("<b>Item 0</b>")
    expect(page.locator("#items .name b")).to_have_count(0)


def test_the_last_action_decides_whatever_is_answered_last(page: Any) -> None:
    slow: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if '"i7"' in route.request.post_data and '"i2"' not in route.request.post_data:
            slow.append(route)
        else:
            route.continue_()

    page.route("**/v1/models/shop:predict", hold_the_first)
    act(page, "i7")
    act(page, "i2")
    first_is(page, "i3")
    with page.expect_response(lambda answer: '"i2"' not in answer.request.post_data):
        slow[0].continue_()
    first_is(page, "i3")
    expect(page.locator("#events li")).to_have_count(2)


def test_chinese_and_english_say_the_same_things(page: Any, server: LiveServer) -> None:
    act(page, "i7")
    expect(why(page, "i8").locator("a")).to_have_count(1)
    page.click("#language")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("#events li")).to_have_text(["点击了 <b>Item 7</b>×"])
    expect(page.locator("h2").first).to_have_text("此刻的推荐")
    page.goto(f"{server.url}/?lang=zh")
    expect(why(page, "i0")).to_have_text("新用户普遍喜欢")
    keys = page.evaluate(
        """async () => {
          const { TEXTS } = await import("/shop/texts.js");
          const keys = (value) => typeof value === "object"
            ? Object.entries(value).map(([key, inner]) => [key, keys(inner)]).sort() : typeof value;
          return Object.values(TEXTS).map((texts) => JSON.stringify(keys(texts)));
        }"""
    )
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_server_that_is_gone_or_refuses_is_said_plainly(page: Any) -> None:
    page.route("**/v1/models/shop:predict", lambda route: route.abort())
    act(page, "i7")
    expect(page.get_by_role("alert")).to_have_text("The server does not answer. Is it still running?")
    page.unroute("**/v1/models/shop:predict")
    refusal = json.dumps({"error": "too busy"})
    page.route("**/v1/models/shop:predict", lambda route: route.fulfill(status=503, body=refusal))
    act(page, "i2")
    expect(page.get_by_role("alert")).to_have_text("The server says: too busy")
    page.unroute("**/v1/models/shop:predict")
    page.get_by_label("Remove: clicked").first.click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_without_a_model_that_explains_the_page_says_so(browser: Any, tmp_path: Path) -> None:
    save_half_plus(tmp_path / "m" / "1", 1.0)
    page = browser.new_page(locale="en-GB")
    with live_server({"m": tmp_path / "m"}, demo=True) as server:
        page.goto(server.url)
        expect(page.get_by_role("alert")).to_contain_text("No model is served here that can recommend and explain")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(page: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page.emulate_media(color_scheme=scheme)
    act(page, "i7")
    expect(why(page, "i8").locator("a")).to_have_count(1)
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()


def test_everything_can_be_done_by_keyboard(page: Any) -> None:
    page.locator('[data-item="i7"] [data-behavior="click"]').focus()
    page.keyboard.press("Enter")
    first_is(page, "i8")
    page.get_by_label("Remove: clicked").focus()
    page.keyboard.press("Space")
    first_is(page, "i0")
