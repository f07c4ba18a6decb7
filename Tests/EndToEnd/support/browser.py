"""A real browser without a window."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from .processes import bare_environment

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    # Chromium's own sandbox does not work as root, and these pages are ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


class Browser:
    """Opens pages, clicks, types, and keeps a screenshot of what it saw."""

    def __init__(self, directory: Path, artifacts: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        options = webdriver.ChromeOptions()
        options.binary_location = next(path for path in map(shutil.which, BROWSERS) if path)
        for flag in FLAGS:
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={directory / 'profile'}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(
            executable_path=shutil.which("chromedriver"),
            log_output=str(directory / "chromedriver.log"),
            env=bare_environment(directory),
        )
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(60)
        self.artifacts = artifacts
        self.console: list[str] = []

    def close(self) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        self.driver.get(url)

    @property
    def url(self) -> str:
        return self.driver.current_url

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def clickable(self, text: str) -> WebElement:
        """The link or button with this text."""
        path = f"//*[self::a or self::button][normalize-space(.)='{text}']"
        return WebDriverWait(self.driver, 30).until(lambda driver: driver.find_element(By.XPATH, path))

    def has(self, text: str) -> bool:
        """Whether there is a link or button with this text."""
        return bool(self.driver.find_elements(By.XPATH, f"//*[self::a or self::button][normalize-space(.)='{text}']"))

    def click(self, text: str) -> None:
        self.clickable(text).click()

    def type(self, field: str, text: str) -> None:
        element = WebDriverWait(self.driver, 30).until(lambda driver: driver.find_element(By.NAME, field))
        element.clear()
        element.send_keys(text)

    def wait_for_url(self, url: str) -> None:
        WebDriverWait(self.driver, 30).until(lambda driver: driver.current_url == url, f"at {self.url}, not {url}")

    def wait_for_text(self, text: str) -> None:
        # A page that gives way to the next one is not the one that is waited for.
        wait = WebDriverWait(self.driver, 30, ignored_exceptions=[StaleElementReferenceException])
        try:
            wait.until(lambda _: text in self.text)
        except TimeoutException:
            raise AssertionError(f"no {text!r} in {self.text!r}") from None

    def keep(self, name: str) -> None:
        """Keeps a screenshot, and what the console said so far."""
        assert self.driver.save_screenshot(str(self.artifacts / f"{name}.png"))
        self.console += [entry["message"] for entry in self.driver.get_log("browser")]
