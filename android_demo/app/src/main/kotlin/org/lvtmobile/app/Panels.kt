package org.lvtmobile.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Path
import android.graphics.drawable.GradientDrawable
import android.view.Gravity
import android.view.View
import android.widget.LinearLayout
import android.widget.TableLayout
import android.widget.TableRow
import android.widget.TextView

/** The latency of each stage, a sparkline, and where the operators run. */
internal class DetailsPanel(private val ui: Ui, onShare: () -> Unit, onClose: () -> Unit) {
    private val content = ui.column()

    val root: View = ui.card().apply {
        addView(panelHeader(ui, R.string.details, onClose))
        addView(ui.scroll(content), linear(height = 0, weight = 1f))
        addView(
            ui.button().apply {
                setText(R.string.share_report)
                setOnClickListener { onShare() }
            },
        )
    }

    fun bind(state: DemoState) {
        content.removeAllViews()
        state.models.forEachIndexed { index, model ->
            val latency = state.results.getOrNull(index)?.latency
            addLine(model.name, R.dimen.text_body, R.color.text)
            addLine(model.runtimeText(ui.context))
            addLine(model.accelerationText(ui.context))
            model.fallbackText(ui.context)?.let { addLine(it, colour = R.color.warning) }
            if (latency == null) addLine(ui.context.getString(R.string.waiting)) else addLatency(latency)
        }
        state.thermalStatus?.let { status ->
            val colour = if (status > 0) R.color.warning else R.color.text_secondary
            addLine(ui.context.getString(R.string.thermal, ui.context.thermalText(status)), colour = colour)
        }
    }

    private fun addLatency(latency: LatencyReport) {
        content.addView(table(latency))
        val history = latency.history
        content.addView(
            Sparkline(ui.context).apply {
                values = history
                contentDescription =
                    ui.context.getString(R.string.history, history.size, history.min(), history.max())
            },
            linear(height = ui.size(R.dimen.sparkline)).apply { topMargin = ui.gap },
        )
        val dropped = ui.context.resources.getQuantityString(R.plurals.dropped, latency.dropped, latency.dropped)
        val fps = latency.fps?.let { ui.context.getString(R.string.fps, it) + " · " }.orEmpty()
        addLine(fps + dropped)
    }

    private fun table(latency: LatencyReport) = TableLayout(ui.context).apply {
        setColumnStretchable(0, true)
        addView(tableRow("", ui.context.getString(R.string.median), ui.context.getString(R.string.p90)))
        for ((stage, time) in latency.stages) addView(tableRow(ui.context.getString(stage.label), time))
        addView(tableRow(ui.context.getString(R.string.stage_total), latency.total))
    }

    private fun tableRow(name: String, time: Milliseconds) =
        tableRow(name, ui.context.milliseconds(time.median), ui.context.milliseconds(time.p90))

    private fun tableRow(name: String, median: String, p90: String) = TableRow(ui.context).apply {
        addView(ui.text().apply { text = name })
        for (value in listOf(median, p90)) {
            addView(
                ui.text().apply {
                    text = value
                    textAlignment = View.TEXT_ALIGNMENT_VIEW_END
                    setPaddingRelative(ui.margin, 0, 0, 0)
                },
            )
        }
    }

    private fun addLine(text: String, size: Int = R.dimen.text_small, colour: Int = R.color.text_secondary) =
        content.addView(ui.text(size, colour).apply { this.text = text })
}

/** A line of the last values; the highest touches the upper edge. */
internal class Sparkline(context: Context) : View(context) {
    private val path = Path()
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = context.getColor(R.color.accent)
        style = Paint.Style.STROKE
        strokeWidth = 2 * resources.displayMetrics.density
    }

    var values: List<Double> = emptyList()
        set(value) {
            field = value
            invalidate()
        }

    override fun onDraw(canvas: Canvas) {
        if (values.size < 2) return
        val highest = values.max().coerceAtLeast(Double.MIN_VALUE)
        val edge = paint.strokeWidth
        path.rewind()
        values.forEachIndexed { index, value ->
            val x = edge + index * (width - 2 * edge) / (values.size - 1)
            val y = height - edge - (value / highest).toFloat() * (height - 2 * edge)
            if (index == 0) path.moveTo(x, y) else path.lineTo(x, y)
        }
        canvas.drawPath(path, paint)
    }
}

/** The segments of the picture with their colours. A tap selects one. */
internal class LegendPanel(private val ui: Ui, private val onSelect: (Int) -> Unit, onClose: () -> Unit) {
    private val list = ui.column()

    val root: View = ui.card().apply {
        addView(panelHeader(ui, R.string.legend, onClose))
        addView(ui.scroll(list), linear(height = 0, weight = 1f))
    }

    fun bind(state: DemoState) {
        list.removeAllViews()
        val result = state.results.firstOrNull() ?: return
        for (segment in result.segments) list.addView(segmentRow(segment, segment.key == state.selected))
        for (score in result.classes) {
            list.addView(ui.text().apply { text = score.title(ui.context) }, linear())
        }
    }

    private fun segmentRow(segment: SegmentInfo, selected: Boolean): View = ui.row().apply {
        minimumHeight = ui.touch
        background = ui.pressable(null)
        isSelected = selected
        asButton()
        setOnClickListener { onSelect(segment.key) }
        addView(swatch(ui, segment.colour))
        addView(ui.line().apply { text = segment.title(ui.context) }, linear(width = 0, weight = 1f))
        addView(ui.text(colour = R.color.text_secondary).apply { text = percent(segment.area, digits = 1) }, linear(width = WRAP))
    }
}

internal fun NamedScore.title(context: Context): String =
    context.getString(R.string.name_and_share, name, percent(probability))

/** The colour of a segment. */
internal fun swatch(ui: Ui, colour: Int): View = View(ui.context).apply {
    background = GradientDrawable().apply {
        shape = GradientDrawable.OVAL
        setColor((0xff shl 24) or colour)
    }
    layoutParams = LinearLayout.LayoutParams(ui.size(R.dimen.swatch), ui.size(R.dimen.swatch)).apply {
        marginEnd = ui.gap + ui.gap / 2
    }
}

/** The selected segment: name, score and area. */
internal class SelectionCard(private val ui: Ui, onIsolate: () -> Unit, onClose: () -> Unit) {
    private val name = ui.line(R.dimen.text_title)
    private val details = ui.text(colour = R.color.text_secondary)
    private val isolate = ui.button().apply { setOnClickListener { onIsolate() } }

    private val row: LinearLayout = ui.row().apply {
        val texts = ui.column().apply {
            addView(name)
            addView(details)
        }
        addView(texts, linear(width = 0, weight = 1f))
        addView(isolate, linear(width = WRAP))
        addView(ui.iconButton(R.drawable.ic_close, R.string.select_none, onClose), linear(width = ui.touch, height = ui.touch))
    }

    val root: View = ui.card().apply {
        addView(row)
        accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
    }

    fun bind(state: DemoState) {
        val segment = state.selectedSegment ?: return
        name.setTextIfChanged(segment.name)
        val area = percent(segment.area, digits = 1)
        details.setTextIfChanged(
            if (segment.score == null) {
                ui.context.getString(R.string.area, area)
            } else {
                ui.context.getString(R.string.score_and_area, percent(segment.score.toDouble()), area)
            },
        )
        isolate.setTextIfChanged(ui.context.getString(if (state.isolate) R.string.isolate_end else R.string.isolate))
    }
}

/** Screen readers announce a live region whenever its text is set. */
internal fun TextView.setTextIfChanged(value: String) {
    if ("$text" != value) text = value
}

/** A message and what the user can do about it. */
internal class NoticeCard(private val ui: Ui, private val onAction: (NoticeAction) -> Unit) {
    private val message = ui.text().apply {
        gravity = Gravity.CENTER
        textAlignment = View.TEXT_ALIGNMENT_CENTER
    }
    private val button = ui.button(filled = true)

    val root: View = ui.card().apply {
        gravity = Gravity.CENTER_HORIZONTAL
        setPadding(ui.margin, ui.margin, ui.margin, ui.margin)
        addView(ui.scroll(message), linear(height = WRAP, weight = 1f))
        addView(button, linear(width = WRAP).apply { topMargin = ui.margin })
        accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
    }

    fun bind(notice: Notice?) {
        if (notice == null) return
        message.setTextIfChanged(notice.text.resolve(ui.context))
        button.setTextIfChanged(ui.context.getString(notice.action.label))
        button.setOnClickListener { onAction(notice.action) }
    }
}

/** The title of a panel, and a button that closes it. */
internal fun panelHeader(ui: Ui, title: Int, onClose: () -> Unit): View = ui.row().apply {
    addView(ui.title(title), linear(width = 0, weight = 1f))
    addView(ui.iconButton(R.drawable.ic_close, R.string.close, onClose), linear(width = ui.touch, height = ui.touch))
}
