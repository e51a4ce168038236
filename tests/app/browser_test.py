#!/usr/bin/env python3
"""Reports as a browser shows them: from disk, wide and narrow, by day and by night. Needs Chromium; standard library only.

    FUDE=build/test/fude CHROMIUM=/usr/bin/chromium python3 tests/app/browser_test.py
"""

import fcntl
import json
import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import unittest

from support import CommandLine

CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "chromium")
SECONDS = 120  # of waiting for an answer, on a busy machine
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 3, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}

# What is amiss with the page as it is laid out now.
FAULTS = r"""(width => {
  const faults = [], named = node => `${node.tagName} ${node.className.baseVal ?? node.className} ${node.textContent.slice(0, 40)}`;
  if (document.scrollingElement.scrollWidth > width) faults.push(`scrolls sideways: ${document.scrollingElement.scrollWidth}`);
  for (const node of document.querySelectorAll('main *')) {
    const style = getComputedStyle(node);
    if (/auto|scroll/.test(style.overflowX + style.overflowY) && (node.scrollWidth > node.clientWidth || node.scrollHeight > node.clientHeight))
      faults.push(`scrolls inside itself: ${named(node)}`);
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()) || !node.getClientRects().length) continue;
    const size = parseFloat(style.fontSize) * (node.ownerSVGElement ? node.getScreenCTM().a : 1);
    if (size < 11) faults.push(`${size} pixels: ${named(node)}`);
    const box = node.getBoundingClientRect();
    if (node.ownerSVGElement && (box.left < 0 || box.right > width)) faults.push(`cut off: ${named(node)}`);
  }
  for (const chart of document.querySelectorAll('.chart svg')) {
    for (const [axis, anchor] of [['y', 'end'], ['x', 'middle']]) {
      const labels = [...chart.querySelectorAll(`text[text-anchor=${anchor}]:not(.limit)`)].map(text => text.textContent);
      if (labels.length < 2 || new Set(labels).size < labels.length) faults.push(`${axis} axis of ${chart.ariaLabel}: ${labels}`);
    }
  }
  for (const image of document.querySelectorAll('main img')) if (!image.alt || !image.naturalWidth) faults.push(`picture ${image.alt}`);
  return faults;
})"""


class Browser:
    """Speaks Chromium's DevTools protocol through two pipes."""

    def __init__(self, folder):
        (its_commands, self.commands), (self.answers, its_answers) = os.pipe(), os.pipe()

        def connect():  # by way of high numbers, so that neither takes the other's place
            high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in [its_commands, its_answers]]
            for end, number in zip(high, [3, 4]):
                os.dup2(end, number)

        self.process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"],
            close_fds=False, preexec_fn=connect, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(its_commands)
        os.close(its_answers)
        self.read, self.number, self.session, self.events = b"", 0, None, []
        target = next(one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)

    def message(self):
        while b"\0" not in self.read:
            if not select.select([self.answers], [], [], SECONDS)[0]:
                raise TimeoutError("the browser says nothing")
            piece = os.read(self.answers, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.read += piece
        message, self.read = self.read.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters, **({"sessionId": self.session} if self.session else {})}
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def open(self, page, screen=DESKTOP, scheme="light"):
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())

    def run(self, script):
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"])
        return done["result"].get("value")

    def press(self, key):
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        code = {"Enter": 13, "Escape": 27, "ArrowRight": 39, "x": 88}[key]
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def complaints(self):
        """Errors and warnings, and whatever was asked of a network."""
        self.run("0")
        heard = [event for event in self.events if event["method"] in ["Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed"] or
                 (event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in ["error", "warning", "assert"])]
        asked = [event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return heard + [url[:100] for url in asked if not url.startswith(("file:", "data:"))]


class Report(CommandLine):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="fude_browser_", ignore_cleanup_errors=True)))
        cls.addClassCleanup(cls.browser.close)

    def report(self, *arguments, **more):
        outcome = self.run_fude(*arguments, "-W", "64", "-H", "64", "--threads", "1", "--quiet", "--seed", "5", **more)
        self.assertEqual(outcome.code, 0, outcome)
        return self.folder / outcome.out.splitlines()[-1]

    def choose(self, *numbers):
        for number in numbers:
            self.browser.run(f"document.querySelector('#cell-{number} input').click()")
        return self.browser.run("document.querySelector('#line').textContent")

    def assert_good(self, page):
        for screen in [DESKTOP, PHONE]:
            for scheme in ["light", "dark"]:
                with self.subTest(page=str(page), width=screen["width"], scheme=scheme):
                    self.browser.open(page, screen, scheme)
                    self.assertEqual(self.browser.run(f"{FAULTS}({screen['width']})"), [])
                    self.assertEqual(self.browser.complaints(), [])

    def test_is_legible_on_every_screen(self):
        long = "a very long prompt about " + "Donaudampfschifffahrtsgesellschaft" * 8 + " and a lighthouse at night " * 40
        self.assert_good(self.report("sweep", "a cat", "--steps", "1,2,3,5", "--guidance", "1,3,5"))
        self.assert_good(self.report("sweep", "a cat", "--steps", "1..24", "--guidance", "1,2"))
        self.assert_good(self.report("sweep", "-p", long, "-p", "公園のベンチに座る男の子と女の子、春の光、水彩画", "--steps", "2,3", "--guidance", "1"))
        self.assert_good(self.report("gacha", f"{long} {{red|a very long {'blue ' * 40}|}} </script><b>'\"&", "--steps", "1", "--count", "12"))
        self.assert_good(self.report("gacha", "a cat", "--steps", "1", "--count", "1"))

    def test_axes_tell_their_ticks_apart(self):
        page = self.report("sweep", "a cat", "--steps", "1,2,3", "--guidance", "1")
        begin, data, end = re.match(r'(.*<script type="application/json" id="data">)(.*?)(</script>.*)', page.read_text(), re.S).groups()
        for scale in [1e-15, 1e-7, 1e-4, 0.02, 1, 3000, 1e6]:
            report = json.loads(data)
            for i, cell in enumerate(report["cells"]):
                cell["seconds"] = scale * (i + 1)
                if cell["difference"]:
                    part = min(scale, 0.3) * (i + 1)
                    cell["difference"].update(change=part, ssim=1 - part, psnr=40 + scale * i)
            page.write_text(begin + json.dumps(report).replace("<", "\\u003c") + end)
            self.assert_good(page)

    def test_prompts_are_text(self):
        prompt = "</script><img src=x onerror=alert(1)> & \"a\" 'cat'"
        page = self.report("gacha", f"{prompt} {{<b>|</title>}}", "--steps", "1", "--count", "2")
        self.browser.open(page)
        self.assertEqual(self.browser.run("document.querySelector('h1').textContent"), f"{prompt} {{<b>|</title>}}")
        self.assertEqual(self.browser.run("[...document.querySelectorAll('.choice')].map(node => node.textContent).sort()"), ["</title>", "<b>"])
        self.assertEqual(self.browser.run("document.querySelectorAll('img[src=x], main b b').length"), 0)

    def test_the_line_refines_what_was_chosen(self):
        self.browser.open(self.report("gacha", "a {puppy|cat}", "--steps", "1", "--count", "4", "--out", "it's $HOME 絵"))
        self.assertTrue(self.browser.run("document.querySelector('#refine').hidden"))
        (gacha,) = self.folder.glob("it's*/*/gacha-001")
        line = shlex.split(self.choose(4, 2))
        self.assertEqual(line, ["fude", "refine", "2", "4", "--gacha", str(gacha)])
        outcome = self.run_fude(*line[1:], "--steps", "2", "--threads", "1", "--json")
        self.assertEqual([image["from"] for image in json.loads(outcome.out)["images"]], ["candidate 2", "candidate 4"])
        moved = self.folder / "moved"
        gacha.rename(moved)
        self.browser.open(moved / "report.html")
        self.assertEqual(self.choose(3), f"fude refine 3 --gacha {moved}")

    def test_the_line_names_files_of_a_sweep(self):
        page = self.report("sweep", "a cat", "--steps", "1,2", "--guidance", "1,2")
        self.browser.open(page)
        line = self.choose(1, 3)
        self.assertEqual(line, f"fude refine --from {page.parent}/00001-5.png --from {page.parent}/00003-5.png")
        outcome = self.run_fude(*line.split()[1:], "--steps", "2", "--threads", "1", "--json")
        self.assertEqual(len(json.loads(outcome.out)["images"]), 2, outcome)

    def test_copies_without_a_clipboard(self):
        self.browser.open(self.report("gacha", "a cat", "--steps", "1", "--count", "2"))
        self.browser.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        line = self.choose(1)
        self.browser.run("document.querySelector('#copy').click()")
        self.assertIn(self.browser.run("document.querySelector('#copy').textContent"), ["Copied", "Press Ctrl+C"])
        self.assertEqual(self.browser.run("getSelection().toString()"), line)
        self.assertEqual(self.browser.complaints(), [])

    def test_the_keyboard_is_enough(self):
        self.browser.open(self.report("gacha", "a cat", "--steps", "1", "--count", "3"))
        self.browser.run("document.querySelector('#cell-1 button').focus()")
        self.browser.press("x")
        self.browser.press("Enter")
        self.assertTrue(self.browser.run("document.querySelector('#zoom').open"))
        self.browser.press("ArrowRight")
        self.browser.press("x")
        self.browser.press("Escape")
        closed = self.browser.run("new Promise(done => { const look = () => at === null ? done(true) : setTimeout(look, 10); look(); })")
        self.assertTrue(closed)
        self.assertEqual(self.browser.run("document.activeElement.closest('figure')?.id"), "cell-2")
        self.assertRegex(self.browser.run("document.querySelector('#line').textContent"), r"^fude refine 1 2 --gacha ")


if __name__ == "__main__":
    unittest.main()
