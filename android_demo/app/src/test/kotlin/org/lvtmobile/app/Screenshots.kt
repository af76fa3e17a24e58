package org.lvtmobile.app

import android.app.Activity
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Canvas
import android.view.View
import org.junit.Assert.assertTrue
import java.io.File
import kotlin.math.abs

/** Differences per channel, of 255, that the compression of the stored picture can cause. */
private const val SMALL_DIFFERENCE = 48

/** Maximum share of pixels with larger differences. */
private const val MAX_CHANGED = 0.005

/** Maximum mean difference; the compression alone causes up to 5 in a strip of small pictures. */
private const val MAX_MEAN = 6.0

private const val QUALITY = 80
private const val FOLDER = "src/test/screenshots"

/** The pixels of an activity, in half of its size. */
internal fun Activity.pixels(): Bitmap {
    val root = window.decorView
    root.measure(exactly(root.width), exactly(root.height)) // what the next frame would do
    root.layout(0, 0, root.width, root.height)
    val whole = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888)
    root.draw(Canvas(whole))
    return Bitmap.createScaledBitmap(whole, root.width / 2, root.height / 2, true)
}

private fun exactly(size: Int) = View.MeasureSpec.makeMeasureSpec(size, View.MeasureSpec.EXACTLY)

/**
 * Compares a picture with the stored one. With `-Dlvt.screenshots=write`, stores it instead, for a person to look at.
 */
internal fun assertLooksLike(name: String, actual: Bitmap) = besideMain { if (!store(name, actual)) compare(name, actual) }

/**
 * Stores a picture with `-Dlvt.screenshots=write`, and never compares it. An int8 model is calibrated on the machine that
 * builds, and rounding alone can give two objects each other's colours.
 */
internal fun storeIfAsked(name: String, actual: Bitmap) = besideMain { store(name, actual) }

private fun stored(name: String) = File(System.getProperty("lvt.app"), "$FOLDER/$name.jpg")

/** Whether pictures are to be stored, and this one is now. */
private fun store(name: String, actual: Bitmap): Boolean {
    if (System.getProperty("lvt.screenshots") != "write") return false
    val file = stored(name)
    checkNotNull(file.parentFile).mkdirs()
    file.outputStream().use { actual.compress(Bitmap.CompressFormat.JPEG, QUALITY, it) }
    return true
}

private fun compare(name: String, actual: Bitmap) {
    val file = stored(name)
    assertTrue("$file is missing", file.isFile)
    val expected = checkNotNull(BitmapFactory.decodeFile(file.path)) { "$file is not a picture" }
    assertTrue("size of $name", expected.width == actual.width && expected.height == actual.height)
    val (before, now) = listOf(expected, actual).map { bitmap ->
        IntArray(bitmap.width * bitmap.height).also {
            bitmap.getPixels(it, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        }
    }
    val differences = IntArray(now.size) { difference(before[it], now[it]) }
    val changed = differences.count { it > SMALL_DIFFERENCE } / differences.size.toDouble()
    val mean = differences.average()
    if (changed > MAX_CHANGED || mean > MAX_MEAN) {
        val found = File(System.getProperty("lvt.app"), "target/screenshots/$name.jpg")
        checkNotNull(found.parentFile).mkdirs()
        found.outputStream().use { actual.compress(Bitmap.CompressFormat.JPEG, QUALITY, it) }
        throw AssertionError("$name: ${percent(changed, 2)} of the pixels changed, mean $mean; look at $found")
    }
}

/** The largest difference of a channel. */
private fun difference(a: Int, b: Int): Int = listOf(0, 8, 16).maxOf { abs((a shr it and 0xff) - (b shr it and 0xff)) }
