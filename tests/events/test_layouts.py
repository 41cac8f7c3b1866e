"""Every public layout by hand, and, where the real logs are at hand, their counts against what is known of them."""

from pathlib import Path

import pandas as pd
import pytest

from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.importers import import_log


def imported(layout: str, folder: Path, **files: str) -> CleanLog:
    paths = []
    for name, text in files.items():
        path = folder / f"{name}.csv"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return import_log(layout, paths, columns={}, behaviors={}, config=CleaningConfig())


def rows(log: CleanLog, *columns: str) -> list[list[object]]:
    return log.events[list(columns)].to_numpy().tolist()


def test_retailrocket(tmp_path: Path) -> None:
    log = imported(
        "retailrocket",
        tmp_path,
        events="timestamp,visitorid,event,itemid,transactionid\n1430622120563,1,view,10,\n1430622124563,1,addtocart,10,\n"
        "1430622126563,1,transaction,10,4000\n",
        properties="timestamp,itemid,property,value\n1435460400000,10,categoryid,209\n1433646000000,10,categoryid,1338\n"
        "1433041200000,10,available,0\n",
    )
    assert rows(log, "user_id", "item_id", "behavior") == [["1", "10", b] for b in ("view", "cart", "purchase")]
    assert log.items["category_id"].tolist() == ["1338"]


def test_online_retail(tmp_path: Path) -> None:
    header = "user_id,item_id,timestamp,invoice,quantity,price,country,description\n"
    day = "2009-12-01 07:45:00"
    log = imported(
        "online-retail",
        tmp_path,
        log=header + f"13085,85048,{day},489434,12,6.95,UK,BALL\n13085,85048,{day},C489434,-12,6.95,UK,BALL\n"
        f",85048,{day},489435,1,6.95,UK,BALL\n13085,POST,{day},489434,1,18,UK,POSTAGE\n13085,22041,{day},489434,5,0,UK,\n"
        f"13085,85048,{day},489434,12,6.95,UK,BALL\n13085,21232,{day},489434,-3,1.25,UK,BOX\n",
    )
    assert rows(log, "user_id", "item_id", "behavior") == [["13085", "85048", "purchase"]]
    assert log.account.reasons == {
        "cancellation": 1, "missing user_id": 1, "not a product": 1, "price of zero": 1, "exact duplicate": 1,
        "negative quantity": 1,
    }  # fmt: skip
    assert log.facts["exact copies of an earlier row"] == 1
    assert log.items[["price", "title"]].to_numpy().tolist() == [[6.95, "BALL"]]


def test_complete_journey(tmp_path: Path) -> None:
    header = (
        "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,"
    )
    log = imported(
        "complete-journey",
        tmp_path,
        transactions=header + "week,transaction_timestamp\n900,330,1,20,2,1.0,0,0,0,1,2017-01-01 11:53:26\n"
        "900,330,1,10,0,0.0,0,0,0,1,2017-01-01 11:53:26\n",
        products="product_id,manufacturer_id,department,brand,product_category,product_type,package_size\n"
        "20,2,GROCERY,National,FRZN ICE,ICE,22 LB\n",
    )
    assert sorted(log.events["item_id"]) == ["10", "20"]
    assert log.facts["lines with quantity 0"] == 1
    assert log.items.set_index("item_id").loc["20", ["category_id", "price", "title"]].tolist() == [
        "FRZN ICE",
        0.5,
        "ICE",
    ]


def test_bestbuy_makes_a_search_and_a_click_of_a_row(tmp_path: Path) -> None:
    log = imported(
        "bestbuy",
        tmp_path,
        clicks="user_id,item_id,category,query,query_time,click_time\n"
        "ab,97,abcat,Batman ,2011-08-11 03:59:04.27,2011-08-11 04:00:17\n",
        alone="user_id,category,query,query_time,click_time\n"
        "cd,abcat,zumba,2011-08-11 06:31:44.88,2011-08-11 06:32:14.783\n",
        names="item_id,name\n97,Batman: Arkham City\n",
    )
    assert rows(log, "user_id", "item_id", "behavior", "query") == [
        ["ab", "", "search", "Batman"], ["ab", "97", "click", ""], ["cd", "", "search", "zumba"],
    ]  # fmt: skip
    assert log.account.read == log.account.kept == 2
    assert log.items["title"].tolist() == ["Batman: Arkham City"]


def test_yoochoose_with_and_without_a_header(tmp_path: Path) -> None:
    log = imported(
        "yoochoose", tmp_path, sample="session_id,item_id,timestamp,part\n3,214716935,1396437466.94,train_full\n"
    )
    assert log.events["timestamp"].tolist() == [1396437466940]
    log = imported(
        "yoochoose",
        tmp_path,
        clicks="1,2014-04-07T10:51:09.277Z,214536502,0\n",
        buys="1,2014-04-07T10:55:09.277Z,214536502,1046,1\n",
    )
    assert rows(log, "user_id", "item_id", "behavior") == [["1", "214536502", "click"], ["1", "214536502", "purchase"]]


def test_movielens_and_sequences(tmp_path: Path) -> None:
    log = imported(
        "movielens",
        tmp_path,
        ratings="user_id,item_id,rating,timestamp\n196,242,3,881250949\n",
        movies="item_id,title,release_year,genres\n242,Kolya,1996,Comedy Drama\n",
    )
    assert rows(log, "behavior", "timestamp") == [["view", 881250949000]]
    assert log.items["category_id"].tolist() == ["Comedy"]
    log = imported("sequences", tmp_path, seq="user_id,position,item_id,behaviour\n1,1,5,addtocart\n1,0,5,view\n")
    assert rows(log, "item_id", "behavior", "position") == [["5", "view", 0], ["5", "cart", 1]]
    log = imported(
        "sequences",
        tmp_path,
        seq="user_id,position,item_id\n1,0,5\n1,1,6\n",
        attributes="item_id,attribute_ids\n5,12 7 3\n6,\n",
    )
    assert log.items[["item_id", "category_id", "title"]].to_numpy().tolist() == [["5", "3", "12 7 3"], ["6", "", ""]]


def test_a_layout_that_does_not_fit_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"log\.csv.*a, b"):
        imported("movielens", tmp_path, log="a,b\n1,2\n")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "user_id,itme_id,behavior,timestamp",
            "column item_id: the column is missing; there are user_id, itme_id, behavior, timestamp; "
            "did you mean 'itme_id'? --columns item_id=itme_id",
        ),
        ("user_id,sku,behavior,timestamp", "there are user_id, sku, behavior, timestamp (see --columns)"),
        ("UserID,item_id,behavior,timestamp", "did you mean 'UserID'? --columns user_id=UserID"),
        ("user_id,item_id,behaviour,timestamp", "did you mean 'behaviour'? --columns behavior=behaviour"),
        (
            "user_id,item_id,behavior,timestmap",
            "column timestamp: neither timestamp nor position; there are user_id, item_id, behavior, timestmap; "
            "did you mean 'timestmap'? --columns timestamp=timestmap",
        ),
        ("user_id,item_id,behavior,postion", "did you mean 'postion'? --columns position=postion"),
        ("user_id,Item ID,behavior,timestamp", "did you mean 'Item ID'? --columns 'item_id=Item ID'"),
        # An order is no user, however alike the names are.
        ("order_id,item_id,behavior,timestamp", "there are order_id, item_id, behavior, timestamp (see --columns)"),
    ],
)
def test_a_missing_column_says_what_there_is_and_what_may_be_meant(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        imported("generic", tmp_path, log=f"{header}\na,b,view,1700000000000\n")
    assert str(raised.value).endswith(message)


def test_a_column_that_has_its_meaning_is_not_proposed_for_another(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_ids,what,behavior,timestamp\na,b,view,1700000000000\n")
    files, columns = [tmp_path / "log.csv"], {"item_id": "user_ids"}
    with pytest.raises(InputError, match=r"there are user_ids, what, behavior, timestamp \(see --columns\)$"):
        import_log("generic", files, columns=columns, behaviors={}, config=CleaningConfig())


def test_columns_that_mean_nothing_to_us_are_named_by_file(tmp_path: Path) -> None:
    events = "user_id,item_id,behavior,rating,timestamp,devcie,price\nu,i,view,5,1700000000000,app,2\n"
    log = imported("generic", tmp_path, log=events, items="item_id,title,colour,device\ni,One,red,app\n")
    assert log.unread == [("log.csv", ["rating", "devcie"]), ("items.csv", ["colour", "device"])]
    files, columns = [tmp_path / "log.csv"], {"device": "devcie"}
    log = import_log("generic", files, columns=columns, behaviors={}, config=CleaningConfig())
    assert log.unread == [("log.csv", ["rating"])]
    assert log.events["device"].tolist() == ["app"]


@pytest.mark.slow
def test_the_dirty_log_is_as_dirty_as_its_readme_says(datasets: Path) -> None:
    files = [datasets / "online-retail-2009" / "transactions.csv.gz"]
    log = import_log("online-retail", files, columns={}, behaviors={}, config=CleaningConfig())
    expected = {
        "rows without a user": 107_927,
        "rows without a description": 2_928,
        "rows with a negative quantity": 12_326,
        "rows with a price of zero or less": 3_690,
        "cancelled rows (invoice C…)": 10_206,
        "exact copies of an earlier row": 6_865,
    }
    assert {name: log.facts[name] for name in expected} == expected
    assert log.account.read == 525_461 == len(log.events) + len(log.rejects)
    assert log.account.reasons["missing user_id"] == 107_927


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "names", "events", "users"),
    [
        ("complete-journey", ["complete-journey/transactions", "complete-journey/products"], 1_469_307, 2_469),
        ("retailrocket", ["retailrocket-multibehaviour/raw_sample_events"], 9_385, 5_000),
        ("yoochoose", ["yoochoose-sample/clicks"], 83_846, 21_210),
        ("movielens", ["ml-100k/ratings", "ml-100k/movies"], 100_000, 943),
        ("sequences", ["amazon-beauty-5core/sequences", "amazon-beauty-5core/item_attributes"], 198_502, 22_363),
    ],
)
def test_real_logs_are_read_whole(datasets: Path, layout: str, names: list[str], events: int, users: int) -> None:
    files = [datasets / f"{name}.csv.gz" for name in names]
    log = import_log(layout, files, columns={}, behaviors={}, config=CleaningConfig())
    assert log.account.read == events
    assert log.events["user_id"].nunique() == users
    assert isinstance(log.events["item_id"].dtype, pd.StringDtype)
