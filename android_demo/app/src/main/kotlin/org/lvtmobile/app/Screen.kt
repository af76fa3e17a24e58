package org.lvtmobile.app

import android.content.Context
import android.graphics.Color
import android.view.Gravity
import android.view.View
import android.widget.Button
import android.widget.FrameLayout
import android.widget.HorizontalScrollView
import android.widget.LinearLayout
import android.widget.SeekBar
import android.widget.TextView

/**
 * The views of the one screen, in code: the picture, figures above it, buttons below it, and a
 * message in the middle where there is nothing to show.
 */
class Screen(context: Context) {
    /** The picture with its overlay. */
    val frames: FrameView = FrameView(context)

    /** Everything. */
    val root: View
    val model: Button = button(context, "Model")
    val runtime: Button = button(context, "Runtime")
    val threads: Button = button(context, "Threads")
    val photo: Button = button(context, "Photo")
    val pause: Button = button(context, "Pause")
    val share: Button = button(context, "Share")

    private val density = context.resources.displayMetrics.density
    private val title = text(context)
    private val figures = text(context)
    private val message = text(context).apply {
        gravity = Gravity.CENTER_HORIZONTAL
        accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
    }
    private val action = button(context, "")
    private val panel = column(context).apply {
        gravity = Gravity.CENTER
        setBackgroundColor(SHADE)
        addView(message)
        addView(action, wrapped())
    }

    init {
        val opacity = SeekBar(context).apply {
            contentDescription = "Opacity of the overlay"
            max = FULL
            progress = FULL
            setOnSeekBarChangeListener(Slide { frames.opacity = it.toFloat() / FULL })
        }
        val buttons = LinearLayout(context)
        for (view in listOf(pause, photo, model, runtime, threads, share)) buttons.addView(view)
        val top = column(context).apply {
            setBackgroundColor(SHADE)
            addView(title)
            addView(figures)
        }
        val bottom = column(context).apply {
            setBackgroundColor(SHADE)
            addView(opacity)
            addView(HorizontalScrollView(context).apply { addView(buttons) })
        }
        val controls = FrameLayout(context).apply {
            fitsSystemWindows = true // keeps clear of the system's bars; the picture goes below them
            addView(top, across(Gravity.TOP))
            addView(panel, across(Gravity.CENTER_VERTICAL))
            addView(bottom, across(Gravity.BOTTOM))
        }
        root = FrameLayout(context).apply {
            setBackgroundColor(Color.BLACK)
            addView(frames)
            addView(controls)
        }
        hideMessage()
    }

    /** What is loaded. */
    fun title(line: String) {
        title.text = line
    }

    /** What is seen, for those who listen to the screen. */
    fun description(segments: String) {
        frames.contentDescription = segments
    }

    /** How fast it is. */
    fun figures(lines: String) {
        figures.text = lines
    }

    /** Says something in the middle, with a button where [label] is not null. */
    fun message(line: String, label: String? = null, onClick: () -> Unit = {}) {
        message.text = line
        action.text = label
        action.visibility = if (label == null) View.GONE else View.VISIBLE
        action.setOnClickListener { onClick() }
        panel.visibility = View.VISIBLE
    }

    fun hideMessage() {
        panel.visibility = View.GONE
    }

    private fun text(context: Context) = TextView(context).apply {
        setTextColor(Color.WHITE)
        textSize = TEXT_SP
        val side = (MARGIN_DP * density).toInt()
        setPadding(side, side / 2, side, side / 2)
    }

    private companion object {
        const val SHADE = 0x99 shl 24
        const val FULL = 100
        const val TEXT_SP = 13f
        const val MARGIN_DP = 12f

        fun button(context: Context, label: String) = Button(context).apply {
            text = label
            isAllCaps = false
        }

        fun column(context: Context) = LinearLayout(context).apply { orientation = LinearLayout.VERTICAL }

        fun wrapped() = LinearLayout.LayoutParams(
            LinearLayout.LayoutParams.WRAP_CONTENT,
            LinearLayout.LayoutParams.WRAP_CONTENT,
        )

        fun across(gravity: Int) = FrameLayout.LayoutParams(
            FrameLayout.LayoutParams.MATCH_PARENT,
            FrameLayout.LayoutParams.WRAP_CONTENT,
            gravity,
        )
    }
}

/** Listens to a slider's positions alone. */
private class Slide(private val moved: (Int) -> Unit) : SeekBar.OnSeekBarChangeListener {
    override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) = moved(progress)

    override fun onStartTrackingTouch(bar: SeekBar) = Unit

    override fun onStopTrackingTouch(bar: SeekBar) = Unit
}
