"""The page of the sandbox's phones, which needs no host."""

from selenium.webdriver.common.action_chains import ActionChains

from tests.inthread import in_thread
from tests.page.browser import browsing
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, running

_COLOURS = "const { color, backgroundColor } = getComputedStyle(arguments[0]); return [color, backgroundColor]"


def test_buttons_of_forms_keep_their_colours_under_the_pointer() -> None:
    served = in_thread(running(Sandbox(Options()), Address("127.0.0.1", 0)))
    with served as found, browsing(f"http://{found.entered[0]}") as handset:
        handset.open()
        handset.click("#add-account summary")
        button = handset.find("#new-account button")
        colours = handset.script(_COLOURS, button)
        ActionChains(handset.driver).move_to_element(button).perform()
        assert handset.script("return arguments[0].matches(':hover')", button)
        assert handset.script(_COLOURS, button) == colours
