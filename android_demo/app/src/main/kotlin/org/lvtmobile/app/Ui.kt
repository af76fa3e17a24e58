package org.lvtmobile.app

import android.content.Context
import android.content.res.ColorStateList
import android.graphics.Color
import android.graphics.drawable.GradientDrawable
import android.graphics.drawable.RippleDrawable
import android.os.Build
import android.text.TextUtils
import android.util.TypedValue
import android.view.Gravity
import android.view.View
import android.view.ViewGroup
import android.widget.FrameLayout
import android.widget.ImageButton
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView

internal const val WRAP = ViewGroup.LayoutParams.WRAP_CONTENT
internal const val MATCH = ViewGroup.LayoutParams.MATCH_PARENT

/** Builds views in the style of this app. Sizes, colours and texts come from the resources. */
internal class Ui(val context: Context) {
    val touch = size(R.dimen.touch)
    val gap = size(R.dimen.gap)
    val margin = size(R.dimen.margin)

    fun size(id: Int): Int = context.resources.getDimensionPixelSize(id)

    fun colour(id: Int): Int = context.getColor(id)

    /** A filled shape with round corners. */
    fun rounded(colour: Int, corner: Int = size(R.dimen.corner)) = GradientDrawable().apply {
        setColor(colour(colour))
        cornerRadius = corner.toFloat()
    }

    /** A background that shows touches. */
    fun pressable(shape: GradientDrawable?): RippleDrawable {
        val mask = rounded(R.color.text)
        return RippleDrawable(ColorStateList.valueOf(RIPPLE), shape, mask)
    }

    fun text(size: Int = R.dimen.text_body, colour: Int = R.color.text) = TextView(context).apply {
        setTextColor(colour(colour))
        setTextSize(TypedValue.COMPLEX_UNIT_PX, context.resources.getDimension(size))
        textAlignment = View.TEXT_ALIGNMENT_VIEW_START
    }

    /** A text of one line; what does not fit is cut off. */
    fun line(size: Int = R.dimen.text_body, colour: Int = R.color.text) = text(size, colour).apply {
        maxLines = 1
        ellipsize = TextUtils.TruncateAt.END
    }

    fun title(id: Int) = text(R.dimen.text_title).apply {
        setText(id)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) isAccessibilityHeading = true
        setPadding(0, gap, 0, gap)
    }

    /** A button with a text. */
    fun button(filled: Boolean = false) = text(colour = if (filled) R.color.on_accent else R.color.accent).apply {
        gravity = Gravity.CENTER
        minHeight = touch
        minWidth = touch
        setPadding(margin, gap, margin, gap)
        background = pressable(if (filled) rounded(R.color.accent, touch / 2) else null)
        asButton()
    }

    /** A round button with an icon. */
    fun iconButton(icon: Int, description: Int, onClick: () -> Unit) = ImageButton(context).apply {
        background = pressable(null)
        minimumWidth = touch
        minimumHeight = touch
        setPadding(0, 0, 0, 0)
        setIcon(icon, description)
        setOnClickListener { onClick() }
    }

    fun column() = LinearLayout(context).apply { orientation = LinearLayout.VERTICAL }

    /** Scrolls what does not fit; the scroll bar does not cover it. */
    fun scroll(content: View) = ScrollView(context).apply {
        scrollBarStyle = View.SCROLLBARS_OUTSIDE_INSET
        addView(content)
    }

    fun row() = LinearLayout(context).apply { gravity = Gravity.CENTER_VERTICAL }

    /** A panel on top of the picture. Touches do not go through it. */
    fun card() = column().apply {
        background = rounded(R.color.surface)
        setPadding(margin, gap, margin, gap)
        isClickable = true
    }

    private companion object {
        val RIPPLE = Color.argb(0x40, 0xff, 0xff, 0xff)
    }
}

/** Shows an icon, and tells it to screen readers and on a long press. */
internal fun ImageButton.setIcon(icon: Int, description: Int) {
    setImageResource(icon)
    contentDescription = context.getString(description)
    tooltipText = contentDescription
}

/** Makes screen readers announce a text as a button. */
internal fun View.asButton() {
    isClickable = true
    isFocusable = true
    accessibilityDelegate = object : View.AccessibilityDelegate() {
        override fun onInitializeAccessibilityNodeInfo(host: View, info: android.view.accessibility.AccessibilityNodeInfo) {
            super.onInitializeAccessibilityNodeInfo(host, info)
            info.className = android.widget.Button::class.java.name
        }
    }
}

internal var View.shown: Boolean
    get() = visibility == View.VISIBLE
    set(value) {
        visibility = if (value) View.VISIBLE else View.GONE
    }

internal fun linear(width: Int = MATCH, height: Int = WRAP, weight: Float = 0f) =
    LinearLayout.LayoutParams(width, height, weight)

internal fun frame(width: Int = MATCH, height: Int = WRAP, gravity: Int = Gravity.FILL) =
    FrameLayout.LayoutParams(width, height, gravity)
