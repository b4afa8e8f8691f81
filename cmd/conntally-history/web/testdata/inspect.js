// Returns what is wrong with the page that is shown, one fault a line: what doesn't fit the
// screen, text of too little contrast, and what people who can't see the page would miss.
(() => {
	const faults = [];
	const fault = (text, element) => faults.push(
		element ? `${text}: ${element.outerHTML.slice(0, 160)}` : text);
	const all = (selector) => [...document.querySelectorAll(selector)];
	const shown = (e) => e.checkVisibility();

	const root = document.documentElement;
	if (root.scrollWidth > window.innerWidth) {
		fault(`the page is ${root.scrollWidth} pixels wide on a screen of ${window.innerWidth}`);
		all("body *").filter((e) => shown(e) && !e.closest(".scroll, svg, .sr") &&
			e.getBoundingClientRect().right > window.innerWidth + 1).forEach((e) => fault("too wide", e));
	}
	all("script, style, iframe, object, embed, [style], img, link[rel=preload]")
		.forEach((e) => fault("not allowed here", e));
	all("*").forEach((e) => [...e.attributes].filter((a) => a.name.startsWith("on"))
		.forEach(() => fault("a handler", e)));
	all("a[href], form[action]").forEach((e) => {
		if (new URL(e.href || e.action).origin !== location.origin) fault("leads elsewhere", e);
	});

	// The contrast of each text with what is behind it, as WCAG 2.2 defines it.
	const parse = (color) => {
		const n = color.match(/[\d.]+/g).map(Number);
		return {rgb: n.slice(0, 3), alpha: n.length > 3 ? n[3] : 1};
	};
	const luminance = (rgb) => {
		const [r, g, b] = rgb.map((v) => v / 255)
			.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const color = parse(getComputedStyle(e).backgroundColor);
			if (color.alpha === 1) return color.rgb;
			if (color.alpha !== 0) fault("half transparent", e);
		}
		return [255, 255, 255];
	};
	let texts = 0;
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || !shown(e) || e.closest("title, desc, .sr, option")) continue;
		texts++;
		const style = getComputedStyle(e);
		const color = e.closest("svg") ? style.fill : style.color;
		const [a, b] = [luminance(parse(color).rgb), luminance(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) fault(`contrast ${ratio.toFixed(2)}`, e);
		if (parseFloat(style.fontSize) < 11) fault(`text of ${style.fontSize}`, e);
	}
	if (texts < 4) fault(`only ${texts} texts are shown`);

	// Structure and names.
	if (root.lang !== "en") fault("no language");
	if (!document.title) fault("no title");
	if (all("h1").length !== 1) fault(`${all("h1").length} h1`);
	if (all("main").length !== 1) fault(`${all("main").length} main`);
	let level = 0;
	all("h1, h2, h3, h4").forEach((e) => {
		const n = Number(e.tagName[1]);
		if (n > level + 1) fault("a heading skips a level", e);
		level = n;
	});
	const name = (e) => (e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "")
		.split(" ").filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? "").join(" ") ||
		[...(e.labels || [])].map((l) => l.textContent).join(" ") || e.textContent).trim();
	all("a, button, input, select, svg[role=img], [role=region], nav, summary, th").forEach((e) => {
		if (!name(e)) fault("without a name", e);
	});
	all("svg:not([role=img]):not([aria-hidden=true])").forEach((e) => fault("neither image nor hidden", e));
	all("[aria-labelledby]").forEach((e) => e.getAttribute("aria-labelledby").split(" ").forEach((id) => {
		if (!document.getElementById(id)) fault(`no element ${id}`, e);
	}));
	all("th:not([scope]):not(.graph)").forEach((e) => fault("a head of nothing", e));
	all(".scroll").forEach((e) => {
		if (e.tabIndex !== 0) fault("scrolls by no key", e);
	});
	const ids = all("[id]").map((e) => e.id);
	ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => fault(`id ${id} twice`));
	const navs = all("nav").map(name);
	if (new Set(navs).size !== navs.length) fault(`navs of one name: ${navs}`);
	return faults.join("\n");
})()
