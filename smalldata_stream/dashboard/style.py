"""The frame of the page and its style; no Bokeh here.

What is inside a model is styled by that model's own sheet: the style of the page does not
reach into it.
"""

from __future__ import annotations

TEMPLATE = """
{% from macros import embed %}
{% block resources %}
<link rel="icon" href="favicon.ico">
<style>
* { box-sizing: border-box }
body { margin: 0; background: #f4f6f8; color: #2b333b; font: 14px/1.5 sans-serif }
#top { position: sticky; top: 0; z-index: 10; display: flex; flex-direction: column }
header { background: #22303c; color: #fff; padding: 10px 32px; display: flex; gap: 24px;
         align-items: center; justify-content: space-between; flex-wrap: wrap }
nav { background: #fff; border-bottom: 1px solid #dde3e8; padding: 0 24px }
main { max-width: 1900px; margin: 0 auto; padding: 16px 32px 48px }
#silent, #stranger { background: #c0392b; color: #fff; font: 600 26px/1.4 sans-serif;
        padding: 14px 32px; display: none }
</style>
{{ bokeh_css }}
{{ bokeh_js }}
{% endblock %}
{% block contents %}
<div id="top">
<header>{{ embed(roots.header) }}{{ embed(roots.controls) }}</header>
<div id="silent">The dashboard does not answer: this page stands still</div>
<div id="stranger">The dashboard does not answer to this name.
Open it as {{ places | join(" or ") }}</div>
{{ embed(roots.banner) }}
<nav>{{ embed(roots.tabs) }}</nav>
</div>
<main>{{ embed(roots.body) }}</main>
<script>
window.beat = Date.now()
const stranger = !{{ places | tojson }}.includes(`http://${location.host.toLowerCase()}/`)
document.getElementById("stranger").style.display = stranger ? "block" : "none"
if (!stranger) setInterval(async () => {
    const silent = window.lost || Date.now() - window.beat > 6000
    document.getElementById("silent").style.display = silent ? "block" : "none"
    if (!window.lost) return
    try { if ((await fetch("favicon.ico", {cache: "no-store"})).ok) location.reload() }
    catch { /* still away */ }
}, 2000)
</script>
{% endblock %}
"""
"""The frame; ``window.beat`` is when the page was last spoken to, ``window.lost`` is true
once its connection is closed; ``places`` are the addresses that the page may have."""

HEADER = """
:host { color: #fff; font: 13px/1.4 sans-serif; min-width: 0; flex: 1 1 auto }
.line { display: flex; align-items: center; gap: 8px 28px; flex-wrap: wrap }
h1 { margin: 0; font-size: 24px; line-height: 1.25; font-weight: 600 }
.where { color: #b9c4ce }
.tile { display: flex; flex-direction: column; font-variant-numeric: tabular-nums;
        color: #b9c4ce; font-size: 12px; white-space: nowrap }
.tile b { color: #fff; font-size: 24px; line-height: 1.25; font-weight: 600 }
.bad { background: #c0392b; border-radius: 6px; padding: 2px 12px; color: #fff }
.good b { color: #5fd39a }
"""

BANNER = """
:host { width: 100% }
.gone, .stale, .error, .said { color: #fff; font: 600 18px/1.4 sans-serif;
                               padding: 8px 32px }
.gone { background: #c0392b; font-size: 26px; padding: 14px 32px }
.stale { background: #b9770e; font-size: 20px }
.error { background: #8e2f24 }
.said { background: #1f6fb2 }
pre { margin: 4px 0 0; font: 14px/1.45 monospace; white-space: pre-wrap }
"""

TABS = """
:host { margin: 0 }
.bk-btn { border: 0 !important; border-radius: 0 !important; background: none !important;
          color: #1f6fb2 !important; font: 16px sans-serif; padding: 10px 14px 8px;
          border-bottom: 3px solid transparent !important; box-shadow: none !important }
.bk-btn.bk-active { color: #2b333b !important; font-weight: 600;
                    border-bottom-color: #1f6fb2 !important }
"""

BODY = """
:host { display: grid !important; gap: 16px; grid-auto-flow: dense; width: 100%;
        grid-template-columns: repeat(auto-fill, minmax(460px, 1fr)); align-items: start }
.card { background: #fff; border: 1px solid #dde3e8; border-radius: 8px; padding: 8px;
        min-width: 0; width: auto !important; margin: 0 }
.whole { grid-column: 1 / -1; min-width: 0 }
@media (min-width: 1040px) { .wide { grid-column: span 2 } }
"""

STATUS = ":host { color: #c0392b; font: 600 14px/1.4 sans-serif; margin: 2px 10px }"

BUTTON = """
.bk-btn { border: 1px solid #5c6b78 !important; border-radius: 6px; color: #fff !important;
          background: #34434f !important; font: 15px sans-serif; padding: 8px 18px;
          white-space: nowrap }
.bk-btn:hover { background: #43535f !important }
.bk-btn.bk-active { background: #1f6fb2 !important }
.bk-btn[disabled], .bk-btn.bk-disabled { opacity: 0.45 }
"""

TEXT = """
h2 { font: 600 18px sans-serif; margin: 20px 0 8px }
h2:first-child { margin-top: 0 }
table { border-collapse: collapse; background: #fff; border: 1px solid #dde3e8 }
td, th { padding: 4px 16px; text-align: left; border-bottom: 1px solid #eef1f4;
         font: 15px/1.5 sans-serif }
th { font-weight: 600 }
td.n { text-align: right; font-variant-numeric: tabular-nums }
td.w { overflow-wrap: anywhere }
"""
