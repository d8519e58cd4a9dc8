"""What the generator was asked to render, and how it reports on it."""

import httpx

from tests.support.generator import Order
from tests.support.product import House, video_id_of
from tests.support.waiting import HANG_SECONDS


def being_rendered(house: House) -> Order:
    """An order of somebody new that the generator has taken, and said so."""
    house.world.generator.choose = lambda _order: "processing"
    video_id = video_id_of(house.new_person().generate())
    house.films[video_id] = house.world.film
    house.until(lambda: house.row(video_id)["estimated_minutes"])
    return order_of(house, video_id)


def order_of(house: House, video_id: str) -> Order:
    return next(order for order in house.world.generator.requests if order.get("videoId") == video_id)


def report_ready(house: House, order: Order) -> httpx.Response:
    """The generator's callback: the video is ready."""
    said = {"userId": order["userId"], "videoId": order["videoId"], "status": "ready"}
    return httpx.put(
        order["callbackUrl"],
        json=said | {"videoUrl": house.world.generator.video_url},
        headers={"Authorization": f"Bearer {order['callbackToken']}"},
        timeout=HANG_SECONDS,
    )
