"""What the restore drill calls a difference; the restore itself is made by `make restore-drill`."""
import os

os.environ.setdefault("ENV", "local")
import restore

RUSH, HEAT, UP = ("2013", "Rush"), ("1995", "Heat"), ("2009", "Up")


def test_a_movie_that_the_restore_lost_or_bent_or_made_up_is_wrong():
    before = {RUSH: "a", HEAT: "b"}
    assert restore.differing(before, {RUSH: "a"}, before) == ([HEAT], [])
    assert restore.differing(before, {RUSH: "a", HEAT: "other"}, before) == ([HEAT], [])
    assert restore.differing(before, {**before, UP: "c"}, before) == ([UP], [])
    assert restore.differing(before, before, before) == ([], [])


def test_a_movie_that_was_written_meanwhile_is_nobodys_fault():
    before = {RUSH: "a", HEAT: "b"}
    assert restore.differing(before, {RUSH: "a", HEAT: "newer"}, {RUSH: "a", HEAT: "newer"}) == ([], [HEAT])
    assert restore.differing(before, {RUSH: "a", HEAT: "b", UP: "c"}, {RUSH: "a", HEAT: "b", UP: "c"}) == ([], [UP])
    assert restore.differing(before, {RUSH: "a"}, {RUSH: "a"}) == ([], [HEAT])


def test_the_content_of_a_table_has_no_order_and_knows_every_item():
    assert restore.content({RUSH: "a", HEAT: "b"}) == restore.content({HEAT: "b", RUSH: "a"}) != restore.content({RUSH: "a", HEAT: "c"})


class Pages:
    """As much of boto3 as a scan takes."""
    def __init__(self, *items):
        self.items = items

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return [{"Items": self.items[:1]}, {"Items": self.items[1:]}]


def test_every_page_counts_and_every_attribute_but_not_the_order_of_a_set():
    def movie(title, *actors):
        return {"year": {"N": "2013"}, "title": {"S": title}, "actors": {"SS": list(actors)}}
    found = restore.items(Pages(movie("Rush", "b", "a"), movie("Up", "c")), "any")
    assert found.keys() == {RUSH, ("2013", "Up")}
    assert found == restore.items(Pages(movie("Rush", "a", "b"), movie("Up", "c")), "any")
    assert found != restore.items(Pages(movie("Rush", "a", "d"), movie("Up", "c")), "any")
