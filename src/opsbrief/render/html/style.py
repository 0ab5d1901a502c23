"""The page's style sheet: calm, dark where the reader prefers it, all pages open on paper."""

CSS = """
:root {
  --page: #ffffff; --text: #1b1f24; --soft: #5b636e; --rule: #e2e5e9; --raised: #f6f7f9;
  --bad: #a4262c; --good: #1b6e43; --unknown: #7d5700; --link: #1f5fa8;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #15181c; --text: #e3e6ea; --soft: #9da5af; --rule: #2d323a; --raised: #1c2026;
    --bad: #ff8f88; --good: #74d3a2; --unknown: #e5b95f; --link: #8ab8f0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 66rem; padding: 2.2rem 1.6rem 3rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1 { margin: 0 0 1.3rem; font-size: 1.6rem; line-height: 1.3; font-weight: 650; letter-spacing: -.01em;
  text-wrap: balance; }
h2, .later { margin: 2.1rem 0 .5rem; font-size: 1.02rem; font-weight: 650; }
h3 { display: inline; margin: 0; font-size: .97rem; font-weight: 600; }
.service { margin: 0 0 .15rem; color: var(--soft); font-weight: 600; letter-spacing: .02em; }
dl { margin: 0; border-top: 1px solid var(--rule); }
dl > div { display: grid; grid-template-columns: 8.6rem 1fr; padding: .42rem 0; border-bottom: 1px solid var(--rule); }
dt { grid-row: 1 / span 9; color: var(--soft); font-size: .72rem; line-height: 1.95; font-weight: 650;
  letter-spacing: .06em; text-transform: uppercase; }
dd { grid-column: 2; margin: 0; }
dd + dd { margin-top: .28rem; }
dd.bad, dd.good, dd.unknown { position: relative; padding-left: 1.05rem; }
dd.bad::before, dd.good::before, dd.unknown::before {
  content: ""; position: absolute; left: 0; top: .45em; width: .58rem; height: .58rem; border-radius: 50%;
  background: currentColor;
}
dd.bad::before { color: var(--bad); border-radius: 2px; }
dd.good::before { color: var(--good); }
dd.unknown::before { color: var(--unknown); background: none; border: 2px solid; }
.detail, .muted, .caption, figcaption, caption, footer { color: var(--soft); }
.ref { color: var(--soft); font-size: .72rem; white-space: nowrap; }
.ref a { color: inherit; text-decoration: none; }
.ref a:hover, .ref a:focus { color: var(--link); text-decoration: underline; }
figure { margin: 1.6rem 0 0; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { margin-top: .35rem; font-size: .86rem; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: .4rem 1.6rem; }
.gallery figure { margin: .9rem 0 0; }
.scroll { overflow-x: auto; margin: .3rem 0 0; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
caption { padding: 0 0 .45rem; text-align: left; font-size: .86rem; }
th { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: bottom; color: var(--soft); font-size: .76rem;
  font-weight: 600; border-bottom: 1px solid var(--rule); }
td { padding: .34rem .8rem .34rem 0; vertical-align: top; border-bottom: 1px solid var(--rule); }
th.end, td.end { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th:last-child, td:last-child { padding-right: 0; }
td.bad { color: var(--bad); } td.good { color: var(--good); } td.unknown { color: var(--unknown); }
th, td { overflow-wrap: normal; }
td code { overflow-wrap: anywhere; }
td.id { white-space: nowrap; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: .4rem 0 .9rem; padding: .6rem .8rem; background: var(--raised); border-radius: 5px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.caption { margin: .7rem 0 .2rem; font-size: .86rem; }
.timeline { margin: 0; padding: 0; list-style: none; }
.timeline li { display: grid; grid-template-columns: 8.6rem 1fr; padding: .16rem 0; }
.timeline b { color: var(--soft); font-weight: 500; font-variant-numeric: tabular-nums; }
.timeline span > span { font-weight: 400; }
details { border-top: 1px solid var(--rule); }
details:last-of-type { border-bottom: 1px solid var(--rule); }
summary { padding: .55rem 0; cursor: pointer; }
summary:hover h3 { color: var(--link); }
.page { padding: 0 0 1.3rem; }
:target { outline: 2px solid var(--link); outline-offset: 3px; }
footer { margin-top: 2rem; font-size: .82rem; }
@media (max-width: 40rem) {
  body { padding: 1.2rem .9rem 2rem; font-size: 14.5px; }
  h1 { font-size: 1.3rem; }
  dl > div, .timeline li { display: block; }
  dt { line-height: 1.7; }
  td code { display: inline-block; min-width: 13rem; }
  #s-logs thead { display: none; }
  #s-logs tr { display: flex; flex-wrap: wrap; gap: 0 .9rem; padding: .35rem 0; border-bottom: 1px solid var(--rule); }
  #s-logs td { padding: 0; border: 0; }
  #s-logs td:has(code) { flex-basis: 100%; }
  #s-logs td code { min-width: 0; }
  #s-logs table, #s-logs caption, #s-logs tbody { display: block; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  h1 { font-size: 15pt; }
  h2, h3, summary, caption { break-after: avoid; }
  figure, tr, dl > div, li, main > section { break-inside: avoid; }
  thead { break-after: avoid; }
  details::details-content { display: block; content-visibility: visible; block-size: auto; }
  details > :not(summary) { display: block; }
  summary { list-style: none; }
  .scroll { overflow: visible; }
}
"""
