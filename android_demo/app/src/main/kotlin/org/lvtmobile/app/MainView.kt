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
 * The view hierarchy of [MainActivity]: the picture, statistics at the top, buttons at the bottom, and a
 * message panel in the middle.
 */
class MainView(context: Context) {
    /** The picture with its overlay. */
    val frameView: FrameView = FrameView(context)

    /** The root view. */
    val root: View
    val model: Button = button(context, "Model")
    val runtime: Button = button(context, "Runtime")
    val threads: Button = button(context, "Threads")
    val photo: Button = button(context, "Photo")
    val pause: Button = button(context, "Pause")
    val share: Button = button(context, "Share")

    private val density = context.resources.displayMetrics.density
    private val titleText = textView(context)
    private val statisticsText = textView(context)
    private val messageText = textView(context).apply {
        gravity = Gravity.CENTER_HORIZONTAL
        accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
    }
    private val messageButton = button(context, "")
    private val messagePanel = column(context).apply {
        gravity = Gravity.CENTER
        setBackgroundColor(PANEL_COLOUR)
        addView(messageText)
        addView(messageButton, wrapContent())
    }

    init {
        val opacityBar = SeekBar(context).apply {
            contentDescription = "Opacity of the overlay"
            max = MAX_OPACITY
            progress = MAX_OPACITY
            setOnSeekBarChangeListener(ProgressListener { frameView.opacity = it.toFloat() / MAX_OPACITY })
        }
        val buttons = LinearLayout(context)
        for (view in listOf(pause, photo, model, runtime, threads, share)) buttons.addView(view)
        val topPanel = column(context).apply {
            setBackgroundColor(PANEL_COLOUR)
            addView(titleText)
            addView(statisticsText)
        }
        val bottomPanel = column(context).apply {
            setBackgroundColor(PANEL_COLOUR)
            addView(opacityBar)
            addView(HorizontalScrollView(context).apply { addView(buttons) })
        }
        val panels = FrameLayout(context).apply {
            fitsSystemWindows = true // keeps the panels clear of the system bars; the picture extends below the bars
            addView(topPanel, fullWidth(Gravity.TOP))
            addView(messagePanel, fullWidth(Gravity.CENTER_VERTICAL))
            addView(bottomPanel, fullWidth(Gravity.BOTTOM))
        }
        root = FrameLayout(context).apply {
            setBackgroundColor(Color.BLACK)
            addView(frameView)
            addView(panels)
        }
        hideMessage()
    }

    /** Shows the name of the loaded model. */
    fun setTitle(title: String) {
        titleText.text = title
    }

    /** Sets the description of the picture for screen readers. */
    fun setDescription(description: String) {
        frameView.contentDescription = description
    }

    /** Shows classes and latency. */
    fun setStatistics(lines: String) {
        statisticsText.text = lines
    }

    /** Shows a message in the middle, with a button if [buttonLabel] is not null. */
    fun showMessage(message: String, buttonLabel: String? = null, onClick: () -> Unit = {}) {
        messageText.text = message
        messageButton.text = buttonLabel
        messageButton.visibility = if (buttonLabel == null) View.GONE else View.VISIBLE
        messageButton.setOnClickListener { onClick() }
        messagePanel.visibility = View.VISIBLE
    }

    fun hideMessage() {
        messagePanel.visibility = View.GONE
    }

    private fun textView(context: Context) = TextView(context).apply {
        setTextColor(Color.WHITE)
        textSize = TEXT_SIZE_SP
        val margin = (MARGIN_DP * density).toInt()
        setPadding(margin, margin / 2, margin, margin / 2)
    }

    private companion object {
        const val PANEL_COLOUR = 0x99 shl 24
        const val MAX_OPACITY = 100
        const val TEXT_SIZE_SP = 13f
        const val MARGIN_DP = 12f

        fun button(context: Context, label: String) = Button(context).apply {
            text = label
            isAllCaps = false
        }

        fun column(context: Context) = LinearLayout(context).apply { orientation = LinearLayout.VERTICAL }

        fun wrapContent() = LinearLayout.LayoutParams(
            LinearLayout.LayoutParams.WRAP_CONTENT,
            LinearLayout.LayoutParams.WRAP_CONTENT,
        )

        fun fullWidth(gravity: Int) = FrameLayout.LayoutParams(
            FrameLayout.LayoutParams.MATCH_PARENT,
            FrameLayout.LayoutParams.WRAP_CONTENT,
            gravity,
        )
    }
}

/** A seek bar listener for progress changes only. */
private class ProgressListener(private val onProgress: (Int) -> Unit) : SeekBar.OnSeekBarChangeListener {
    override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) = onProgress(progress)

    override fun onStartTrackingTouch(bar: SeekBar) = Unit

    override fun onStopTrackingTouch(bar: SeekBar) = Unit
}
