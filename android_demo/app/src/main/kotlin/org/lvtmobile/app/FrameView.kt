package org.lvtmobile.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.RectF
import android.view.View
import org.lvtmobile.core.Size

/**
 * A picture with what the model says of it, as large as the view allows.
 *
 * The camera's frames come through here too, and not through a preview surface of their own: frame
 * and overlay then have the same pixels, so that they cannot come apart when the phone is turned.
 * [show] and [lay] may be called on any thread.
 */
class FrameView(context: Context) : View(context) {
    private val density = resources.displayMetrics.density
    private val lock = Any()
    private var picture: Bitmap? = null
    private var overlay: Bitmap? = null
    private var anchors: List<Anchor> = emptyList()
    private val target = RectF()
    private val smooth = Paint(Paint.FILTER_BITMAP_FLAG)
    private val veil = Paint() // unfiltered: a segment's border stays sharp
    private val plate = Paint(Paint.ANTI_ALIAS_FLAG)
    private val text = Paint(Paint.ANTI_ALIAS_FLAG)

    /** Of the overlay and its labels, 0 to 1. */
    var opacity: Float = 1f
        set(value) {
            field = value
            invalidate()
        }

    /** Shows a frame; the overlay stays if it has the same size. */
    fun show(frame: Frame) {
        synchronized(lock) { picture = picture.filled(frame.size, frame.argb) }
        postInvalidate()
    }

    /** Lays an answer over the frames, in place of the one before it. */
    fun lay(answer: Overlay) {
        synchronized(lock) {
            val size = answer.size
            overlay = if (size == null) null else overlay.filled(size, answer.pixels)
            anchors = answer.anchors
        }
        postInvalidate()
    }

    /** Takes the answer away. */
    fun clear() {
        synchronized(lock) {
            overlay = null
            anchors = emptyList()
        }
        postInvalidate()
    }

    /** What is shown, without the view's borders; null before the first frame. */
    fun snapshot(): Bitmap? = synchronized(lock) {
        val shown = picture ?: return null
        val scale = (SNAPSHOT_SIDE / maxOf(shown.width, shown.height)).coerceAtLeast(1f)
        val width = (scale * shown.width).toInt()
        val height = (scale * shown.height).toInt()
        val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        paint(Canvas(bitmap), width, height, SNAPSHOT_TEXT)
        bitmap
    }

    override fun onDraw(canvas: Canvas) {
        synchronized(lock) { paint(canvas, width, height, TEXT_DP * density) }
    }

    private fun paint(canvas: Canvas, width: Int, height: Int, textSize: Float) {
        val shown = picture ?: return
        val fit = Fit.of(shown.width, shown.height, width, height)
        target.set(fit.left, fit.top, fit.left + fit.width, fit.top + fit.height)
        canvas.drawBitmap(shown, null, target, smooth)
        val layer = overlay ?: return
        if (layer.width != shown.width || layer.height != shown.height) return // the phone was turned meanwhile
        veil.alpha = (255 * opacity).toInt()
        canvas.drawBitmap(layer, null, target, veil)
        if (opacity > 0) labels(canvas, fit, textSize)
    }

    private fun labels(canvas: Canvas, fit: Fit, textSize: Float) {
        text.textSize = textSize
        val height = PLATE * textSize
        val padding = (height - textSize) / 2
        for (label in placeLabels(anchors, fit, height) { text.measureText(it) + 2 * padding }) {
            plate.color = label.colour or (0xff shl 24)
            text.color = if (Color.luminance(plate.color) > BRIGHT) Color.BLACK else Color.WHITE
            canvas.drawRoundRect(
                label.left, label.top, label.left + label.width, label.top + label.height, padding, padding, plate,
            )
            canvas.drawText(label.text, label.left + padding, label.top + padding + BASELINE * textSize, text)
        }
    }

    private companion object {
        const val TEXT_DP = 13f
        const val SNAPSHOT_SIDE = 1280f
        const val SNAPSHOT_TEXT = 26f
        const val PLATE = 1.4f // height of a label in text sizes
        const val BASELINE = 0.85f
        const val BRIGHT = 0.4f
    }
}

/** A bitmap with these pixels: this one if it has the size. */
private fun Bitmap?.filled(size: Size, argb: IntArray): Bitmap {
    val fits = this != null && width == size.width && height == size.height
    val bitmap = if (fits) this else Bitmap.createBitmap(size.width, size.height, Bitmap.Config.ARGB_8888)
    bitmap.setPixels(argb, 0, size.width, 0, 0, size.width, size.height)
    return bitmap
}
