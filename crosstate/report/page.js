// Draws the page's plots with Chart.js: axes, error bars, value labels, colours for light and dark.
(() => {
  'use strict';

  const plots = JSON.parse(document.getElementById('plots').textContent);
  const dark = window.matchMedia('(prefers-color-scheme: dark)');

  const themes = {
    light: {
      series: ['#2b6cb0', '#c8641b', '#1f8a70', '#8b4a9c', '#94780f', '#5f6b7a'],
      text: '#1f2328',
      muted: '#5c6570',
      grid: '#e6e8eb',
      faint: '#f2f3f5',
      axis: '#b9bfc6',
      card: '#ffffff',
    },
    dark: {
      series: ['#7ab3ef', '#f0a267', '#5fcab0', '#c99ae0', '#d9bd5a', '#a5b0bf'],
      text: '#e3e6ea',
      muted: '#9ca5b0',
      grid: '#2f353d',
      faint: '#252a30',
      axis: '#525a64',
      card: '#1d2126',
    },
  };
  const pointStyles = ['circle', 'rect', 'triangle', 'rectRot', 'star', 'crossRot'];
  const dashes = [[], [6, 3], [2, 3], [9, 3, 2, 3], [4, 4], [1, 3]];
  const kMarkedPoints = 40;  // longer series show a plain line, and a band for their errors

  const superscript = (n) => String(n).replace(/[-\d]/g, (c) => c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]);

  // At most five significant digits; powers of ten for the very large and the very small.
  function format(value) {
    if (value === 0) return '0';
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-4) {
      const [mantissa, exponent] = value.toExponential(3).split('e');
      const digits = String(Number(mantissa)).replace('-', '−');
      const power = '10' + superscript(Number(exponent));
      return digits === '1' ? power : digits + '×' + power;
    }
    return value.toLocaleString('en', {maximumSignificantDigits: 5, useGrouping: size >= 1e4})
        .replace('-', '−');
  }

  const isNumber = (v) => typeof v === 'number' && isFinite(v);

  // Least and largest of the numbers that the axis can show, or null without any.
  function range(values, log) {
    const shown = values.filter((v) => isNumber(v) && (!log || v > 0));
    if (shown.length === 0) return null;
    return shown.reduce((r, v) => [Math.min(r[0], v), Math.max(r[1], v)], [Infinity, -Infinity]);
  }

  // Labels at powers of ten, with 2 and 5 where few powers fit, else with bare lines between them.
  function logTicks(scale) {
    const low = Math.log10(scale.min), high = Math.log10(scale.max);
    const decades = high - low, labelled = decades < 2.2 ? [1, 2, 5] : [1];
    const every = Math.max(1, Math.ceil(decades / 7)), ticks = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); ++power) {
      for (let digit = 1; digit < 10; ++digit) {
        const value = Number(digit + 'e' + power);
        const named = labelled.includes(digit) && power % every === 0;
        if (value < scale.min || value > scale.max || (!named && decades > 4)) continue;
        ticks.push({value, label: named ? format(value) : ''});
      }
    }
    const named = ticks.filter((tick) => tick.label);
    if (named.length < 2) return ticks.map(({value}) => ({value, label: format(value)}));
    return decades < 2.2 ? named : ticks;
  }

  function axis(theme, title) {
    return {
      title: {display: title !== '', text: title, color: theme.muted, font: {size: 12}},
      grid: {color: theme.grid, borderColor: theme.axis, drawTicks: false, tickLength: 0},
      ticks: {
        color: theme.muted,
        padding: 7,
        includeBounds: false,
        font: {size: 12},
        callback: (value) => format(value),
      },
    };
  }

  function logAxis(options, limits, theme) {
    const margin = Math.max(0.03, 0.03 * Math.log10(limits[1] / limits[0]));
    options.type = 'logarithmic';
    options.min = limits[0] * 10 ** -margin;
    options.max = limits[1] * 10 ** margin;
    options.ticks.autoSkip = false;
    options.ticks.maxTicksLimit = 1000;
    options.grid.color = ({tick}) => tick && tick.label ? theme.grid : theme.faint;
    options.ticks.callback = (value, index, ticks) => ticks[index].label;
    options.afterBuildTicks = (scale) => {
      scale.ticks = logTicks(scale);
    };
  }

  // The words of a label on as many lines as its share of the width asks for.
  function wrap(label, room, width) {
    const lines = [];
    for (const word of label.split(' ')) {
      const last = lines.length - 1;
      if (last >= 0 && width(lines[last] + ' ' + word) <= room)
        lines[last] += ' ' + word;
      else
        lines.push(word);
    }
    return lines.length > 1 ? lines : label;
  }

  // Category labels stand level as long as every word fits under its place.
  function categoryTicks(options, plot) {
    const count = plot.categories.length;
    const words = plot.categories.flatMap((label) => label.split(' '));
    const roomIn = (chart) => (chart.width - 50) / count - 3;
    const widthIn = (chart) => (text) => {
      chart.ctx.font = '11px ' + Chart.defaults.font.family;
      return chart.ctx.measureText(text).width;
    };
    options.ticks.font = {size: 11};
    options.ticks.autoSkip = count > 16;
    options.ticks.callback = function(value) {
      return wrap(this.getLabelForValue(value), roomIn(this.chart), widthIn(this.chart));
    };
    options.beforeCalculateLabelRotation = ({chart, options: current}) => {
      const widest = Math.max(...words.map(widthIn(chart)));
      current.ticks.maxRotation = widest <= roomIn(chart) ? 0 : 50;
    };
  }

  function xAxis(plot, theme) {
    const options = axis(theme, plot.x_label);
    if (plot.categories.length > 0) {
      options.type = 'category';
      options.grid.display = plot.kind === 'line';
      options.offset = true;
      options.stacked = plot.stacked;
      categoryTicks(options, plot);
      return options;
    }
    const limits = range(plot.series.flatMap((s) => s.points.map((p) => p[0])), plot.log_x);
    options.type = 'linear';
    options.ticks.maxRotation = 0;
    options.ticks.autoSkipPadding = 16;
    options.ticks.maxTicksLimit = 13;
    if (limits === null) return options;
    if (plot.log_x) {
      logAxis(options, limits, theme);
    } else {
      // Room for half a bar at either end, or for a point and its error bar.
      const xs =
          [...new Set(plot.series.flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
      const step = xs.slice(1).reduce((least, x, i) => Math.min(least, x - xs[i]), Infinity);
      const span = limits[1] - limits[0];
      const margin = span === 0 ? 1 : plot.kind === 'bar' ? 0.6 * step : 0.02 * span;
      options.min = limits[0] - margin;
      options.max = limits[1] + margin;
      if (plot.kind === 'bar') options.grid.display = false;
    }
    return options;
  }

  // From zero to the highest sum of a category.
  function stackLimits(plot) {
    const sums = plot.categories.map((_, i) => plot.series.reduce((sum, s) => {
      const value = s.points[i] && s.points[i][1];
      return isNumber(value) ? sum + value : sum;
    }, 0));
    return [0, Math.max(...sums, 0)];
  }

  function yAxis(plot, theme) {
    const options = axis(theme, '');  // its title stands above the chart, where it reads level
    const points = plot.series.flatMap((s) => s.points).filter((p) => isNumber(p[1]));
    const ends = points.flatMap(([, y, e]) => isNumber(e) ? [y - e, y, y + e] : [y]);
    const limits = plot.stacked ? stackLimits(plot) : range(ends, plot.log_y);
    options.type = 'linear';
    options.stacked = plot.stacked;
    options.grid.drawBorder = false;
    if (limits === null) return options;
    if (plot.log_y) {
      // An error bar that reaches zero must not stretch the axis: only the points set its foot.
      const shown = range(points.map((p) => p[1]), true) || limits;
      logAxis(options, [Math.max(limits[0], shown[0] / 3), limits[1]], theme);
      if (plot.kind === 'bar') options.min = 10 ** Math.floor(Math.log10(shown[0] / 1.5));
    } else {
      options.ticks.maxTicksLimit = 7;
      options.suggestedMin = limits[0];
      options.suggestedMax = limits[1];
      if (plot.kind === 'bar') options.beginAtZero = true;
    }
    return options;
  }

  function dataset(plot, series, index, theme) {
    const color = theme.series[index % theme.series.length];
    const categorical = plot.categories.length > 0;
    const data = series.points.map(([x, y], i) => {
      const visible =
          isNumber(y) && !(plot.log_y && y <= 0) && (categorical || !(plot.log_x && x <= 0));
      return {x: categorical ? plot.categories[i] : x, y: visible ? y : null};
    });
    const common = {
      label: series.name || plot.y_label,
      data,
      errors: series.points.map((p) => p[2])
    };
    // Categories may repeat, so their points go by position and not by name.
    if (categorical) common.data = data.map((point) => point.y);
    if (plot.kind === 'bar') {
      return {
        ...common,
        backgroundColor: color,
        hoverBackgroundColor: color,
        borderRadius: 3,
        categoryPercentage: 0.74,
        barPercentage: 0.9,
        maxBarThickness: 64,
        pointStyle: 'rectRounded',
      };
    }
    const marked = data.length <= kMarkedPoints;
    return {
      ...common,
      borderColor: color,
      backgroundColor: color,
      borderWidth: 2,
      borderDash: dashes[index % dashes.length],
      pointStyle: pointStyles[index % pointStyles.length],
      pointRadius: marked ? 3.5 : 0,
      pointHoverRadius: 5,
      pointBorderColor: color,
      pointBackgroundColor: color,
      pointHitRadius: 8,
      spanGaps: false,
      clip: 6,
    };
  }

  const toTranslucent = (hex) => hex + '2e';

  // Error bars, or a band behind long series.
  const errorBars = {
    id: 'errorBars',
    beforeDatasetsDraw(chart) { drawErrors(chart, true); },
    afterDatasetsDraw(chart) { drawErrors(chart, false); },
  };

  function drawErrors(chart, bands) {
    const {ctx, chartArea: area, scales: {y: scale}} = chart;
    const pixel = (value) => scale.type === 'logarithmic' && value <= 0 ?
        area.bottom + 20 :
        scale.getPixelForValue(value);
    ctx.save();
    ctx.beginPath();
    ctx.rect(area.left - 8, area.top - 8, area.right - area.left + 16, area.bottom - area.top + 8);
    ctx.clip();
    chart.data.datasets.forEach((set, index) => {
      const line = chart.config.type === 'line';
      if (!chart.isDatasetVisible(index) || bands !== (line && set.data.length > kMarkedPoints))
        return;
      const runs = [[]];  // unbroken stretches of points that have an error
      chart.getDatasetMeta(index).data.forEach((element, i) => {
        const datum = set.data[i],
              y = datum !== null && typeof datum === 'object' ? datum.y : datum;
        if (!isNumber(y) || !(set.errors[i] > 0)) return void runs.push([]);
        runs[runs.length - 1].push(
            {x: element.x, top: pixel(y + set.errors[i]), bottom: pixel(y - set.errors[i])});
      });
      if (bands) {
        ctx.fillStyle = toTranslucent(set.backgroundColor);
        for (const run of runs) {
          ctx.beginPath();
          run.forEach((p) => ctx.lineTo(p.x, p.top));
          run.reverse().forEach((p) => ctx.lineTo(p.x, p.bottom));
          ctx.fill();
        }
        return;
      }
      ctx.setLineDash([]);
      for (const p of runs.flat()) {
        ctx.beginPath();
        ctx.moveTo(p.x, p.top);
        ctx.lineTo(p.x, p.bottom);
        ctx.moveTo(p.x - 4, p.top);
        ctx.lineTo(p.x + 4, p.top);
        ctx.moveTo(p.x - 4, p.bottom);
        ctx.lineTo(p.x + 4, p.bottom);
        if (!line) {  // a rim, so that it shows on the bar and above it
          ctx.strokeStyle = chart.theme.card;
          ctx.lineWidth = 4;
          ctx.stroke();
        }
        ctx.strokeStyle = line ? set.borderColor : chart.theme.text;
        ctx.lineWidth = 1.4;
        ctx.stroke();
      }
    });
    ctx.restore();
  }

  // A little air between the legend and the chart.
  const legendGap = {
    id: 'legendGap',
    beforeInit(chart) {
      if (!chart.legend) return;
      const fit = chart.legend.fit;
      chart.legend.fit = function() {
        fit.call(this);
        if (this.options.display) this.height += chart.config.type === 'bar' ? 16 : 8;
      };
    },
  };

  // The value above each bar, as long as no label is wider than the room its bar has.
  const barLabels = {
    id: 'barLabels',
    afterDatasetsDraw(chart) {
      if (chart.config.type !== 'bar' || chart.config.options.scales.y.stacked) return;
      const {ctx, scales: {y: scale}} = chart, labels = [];
      ctx.save();
      ctx.font = '600 11px ' + Chart.defaults.font.family;
      ctx.textAlign = 'center';
      chart.data.datasets.forEach((set, index) => {
        if (!chart.isDatasetVisible(index)) return;
        chart.getDatasetMeta(index).data.forEach((bar, i) => {
          const datum = set.data[i],
                value = datum !== null && typeof datum === 'object' ? datum.y : datum;
          if (!isNumber(value)) return;
          const error = set.errors[i] > 0 ? set.errors[i] : 0;
          const edge = scale.getPixelForValue(value < 0 ? value - error : value + error);
          const y = value < 0 ? edge + 14 : edge - 6;
          labels.push(
              {value: Number(value.toPrecision(4)), x: bar.x, y, room: bar.width / 0.9 + 4});
        });
      });
      const decimals =
          Math.max(0, ...labels.map(({value}) => (String(value).split('.')[1] || '').length));
      for (const label of labels) {
        label.text = format(label.value);
        if (decimals <= 3 && Math.abs(label.value) < 1e4) {
          label.text = label.value.toFixed(decimals).replace('-', '−');
        }
        label.width = ctx.measureText(label.text).width;
      }
      if (labels.length > 0 && chart.data.datasets.length === 1) {
        // A lone series may also use the space between its bars.
        const room = chart.chartArea.width / chart.data.labels.length || 0;
        labels.forEach((label) => {
          label.room = Math.max(label.room, room - 4);
        });
      }
      if (labels.every((label) => label.width <= label.room)) {
        ctx.fillStyle = chart.theme.text;
        labels.forEach((label) => ctx.fillText(label.text, label.x, label.y));
      }
      ctx.restore();
    },
  };

  function draw(canvas, theme) {
    const plot = plots[Number(canvas.dataset.plot)];
    const datasets = plot.series.map((series, i) => dataset(plot, series, i, theme));
    const withError = (item) => {
      const error = item.dataset.errors[item.dataIndex];
      const name = item.dataset.label ? item.dataset.label + ': ' : '';
      return ' ' + name + format(item.parsed.y) + (error > 0 ? ' ± ' + format(error) : '');
    };
    const title = (items) => {
      if (items.length === 0) return '';
      if (plot.categories.length > 0) return plot.categories[items[0].dataIndex];
      return (plot.x_label ? plot.x_label + ': ' : '') + format(items[0].parsed.x);
    };
    const chart = new Chart(canvas, {
      type: plot.kind,
      data: {labels: plot.categories.length > 0 ? plot.categories : undefined, datasets},
      plugins: [
        {
          id: 'theme',
          beforeInit: (c) => {
            c.theme = theme;
          }
        },
        legendGap, errorBars, barLabels
      ],
      options: {
        responsive: true,
        maintainAspectRatio: false,
        animation: false,
        layout:
            {padding:
                 {top: datasets.length > 1 ? 0 :
                      plot.kind === 'bar'  ? 20 :
                                             6,
                  right: 8}},
        interaction: {mode: 'nearest', axis: 'x', intersect: false},
        scales: {x: xAxis(plot, theme), y: yAxis(plot, theme)},
        plugins: {
          legend: {
            display: datasets.length > 1,
            align: 'start',
            labels: {
              color: theme.text,
              usePointStyle: true,
              boxWidth: 7,
              boxHeight: 7,
              padding: 14,
              font: {size: 12}
            },
          },
          tooltip: {
            backgroundColor: theme.card,
            borderColor: theme.axis,
            borderWidth: 1,
            padding: 10,
            titleColor: theme.text,
            bodyColor: theme.text,
            usePointStyle: true,
            boxPadding: 4,
            callbacks: {label: withError, title},
          },
        },
      },
    });
    return chart;
  }

  let charts = [];
  function drawAll(theme) {
    charts.forEach((chart) => chart.destroy());
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    charts =
        [...document.querySelectorAll('canvas[data-plot]')].map((canvas) => draw(canvas, theme));
  }
  const screenTheme = () => dark.matches ? themes.dark : themes.light;

  drawAll(screenTheme());
  dark.addEventListener('change', () => drawAll(screenTheme()));
  window.addEventListener('beforeprint', () => {
    if (dark.matches) drawAll(themes.light);
  });
  window.addEventListener('afterprint', () => {
    if (dark.matches) drawAll(screenTheme());
  });
})();
